// memory_policy: which worker is killed when memory runs short, and how soon to look again. Follows
// Ray's page "Out-Of-Memory Prevention": those whose work may run again come first, and of these the
// one that began last. It reads nothing and kills nobody; node_memory.cpp does.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/api.h"
#include "base/clock.h"
#include "os/memory.h"

namespace bolide::node {

// A worker that runs something or is an actor's.
struct Suspect {
  uint32_t worker = 0;
  bool runs = false;       // it runs something, and does not wait for another one
  bool retriable = false;  // what it runs may run again
  uint64_t begun = 0;      // larger: what it runs began later
  uint64_t held = 0;       // bytes of memory that it shares with nobody
  uint64_t before = 0;     // what of that it held when its limit began to count
  uint64_t limit = 0;      // bytes that it may hold beyond that; 0: any number

  uint64_t charged() const { return held > before ? held - before : 0; }
  bool over_limit() const { return limit != 0 && charged() > limit; }
};

// Why a worker was killed, for the sentence of its tasks.
struct MemoryDeath {
  Suspect suspect;
  os::MachineMemory machine{};  // as it was read; total 0: the worker's own limit was passed
  double threshold = 0;
  bool alone = false;  // no other one that runs holds much

  bool own_limit() const { return machine.total == 0; }
};

// used_share is the part of the machine's memory that is in use, from 0 to 1.
BOLIDE_API double used_share(const os::MachineMemory& machine);

// over_its_limit is the newest of those above their own limit; nullptr: none is.
BOLIDE_API const Suspect* over_its_limit(std::span<const Suspect> suspects);

// culprit is whom to kill for the machine's sake. Only one that holds a fair part of what the
// largest holds: the end of a small one would change nothing. nullptr: no worker holds much, so
// that the memory went elsewhere.
BOLIDE_API const Suspect* culprit(std::span<const Suspect> suspects);

// is_alone: of those that run, no other one holds a fair part, so its memory is all its own fault.
BOLIDE_API bool is_alone(std::span<const Suspect> suspects, const Suspect& victim);

// pause is how long to wait before looking again: shorter the less is missing to a limit or to the
// machine's threshold, `longest` at most.
BOLIDE_API Nanos pause_to_limits(std::span<const Suspect> suspects, Nanos longest);
BOLIDE_API Nanos pause_to_threshold(const os::MachineMemory& machine, double threshold,
                                    Nanos longest);

// explain is the sentence for `what` ("The task 'f'") whose worker process was killed.
BOLIDE_API std::string explain(const MemoryDeath& death, const std::string& what, int pid);

}  // namespace bolide::node

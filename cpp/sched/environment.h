// environment: what the processes of workers begin with (variables, folders, packages), as the
// scheduler sees it: a key, and who is idle there.
//
// A worker has one environment for life, so a task goes only to workers of its class's. Most
// programs have one: that of the job, which the scheduler calls home. How another one is made is
// the owner's business; until it says that it is, the tasks wait and count for nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bolide::sched {

struct Worker;

inline constexpr uint64_t kHomeEnvironment = 0;

struct Environment {
  uint64_t key = kHomeEnvironment;
  void* owner = nullptr;  // what the scheduler's owner attaches
  bool open = false;      // its workers can be started
  bool asked = false;     // the owner has been asked to set it up
  std::vector<Worker*> idle;  // hottest last
  size_t ready = 0;           // tasks in the queues of its classes that could run here
  size_t starting = 0;        // workers
  size_t alive = 0;           // workers, without the dedicated ones
};

}  // namespace bolide::sched

// worker_link: the node's side of one worker process: shared memory, socket, what it was sent
// and has not answered, and what it holds.
//
// Thread safety: the node's lock guards everything but looks_empty().
//
// Invariants
//   1. `outstanding` is in order of sequence; an entry leaves it when its result or hand-back
//      is read, when it is taken back, or when the worker is dead.
//   2. Records are sent in order: while `overflow` has one, the ring gets none.
//   3. `held` has the objects that this client counts as referenced; each stands for one
//      reference in the table, and with kTold for one of its readers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_set>
#include <vector>

#include "base/api.h"
#include "base/flat_map.h"
#include "ipc/claim.h"
#include "ipc/cursor.h"
#include "ipc/link.h"
#include "ipc/records.h"
#include "ipc/ring.h"
#include "node/memory_policy.h"
#include "node/task_record.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/process.h"
#include "sched/task.h"

namespace bolide::node {

struct Actor;
struct Template;

enum HeldFlags : uint32_t {
  kHeld = 1,
  kTold = 2,  // it may know where the stored value lies
};

class BOLIDE_API WorkerLink {
 public:
  static constexpr uint64_t kNotSent = UINT64_MAX;

  struct Outstanding {
    uint64_t sequence;
    uint64_t position;  // in the ring, or kNotSent while in overflow
    Task* task;
    bool inlined;
  };

  // make creates the shared memory and the socket; `header` as in link.h.
  static Result<std::unique_ptr<WorkerLink>> make(const ipc::LinkHeader& header);

  // send puts a record of `size` payload bytes, written by `fill(std::byte*)`, into the ring or
  // behind what waits for room. Returns its position, or kNotSent. Not larger than
  // largest_record(). `sequence` is that of a task record, else 0.
  template <class Fill>
  uint64_t send(ipc::RecordType type, uint64_t size, Fill fill, uint64_t sequence = 0) {
    if (overflow_.empty()) {
      if (std::byte* to = tasks.reserve(size, static_cast<uint16_t>(type))) {
        fill(to);
        return tasks.commit();
      }
      want_space(true);
    }
    overflow_.push_back({static_cast<uint16_t>(type), sequence, std::vector<std::byte>(size)});
    fill(overflow_.back().bytes.data());
    return kNotSent;
  }
  // send_descriptor passes a descriptor through the socket, later if it is full now.
  void send_descriptor(uint32_t chunk, const os::Fd& fd);
  void send_ids(ipc::RecordType type, std::span<const uint64_t> ids);

  // flush moves waiting records into the ring, publishes, and wakes the worker if it sleeps.
  void flush();
  // is_busy: it will not read its ring before it has done something else.
  bool is_busy() const {
    return tasks.control()->consumer_waiting.load(std::memory_order_seq_cst) == 0;
  }
  // has_read_all: the worker has handled every record that it was ever sent.
  bool has_read_all() { return overflow_.empty() && tasks.refresh_used() == 0; }
  bool has_overflow() const { return !overflow_.empty() || !descriptors_.empty(); }

  // find_outstanding is the entry of that sequence number, nullptr if there is none.
  Outstanding* find_outstanding(uint64_t sequence);
  void remove_outstanding(Outstanding* entry);

  // take_back returns the tasks that the worker has not started and now never will, in order.
  // `unsent`: spans of large records that were not even sent.
  std::vector<Task*> take_back(std::vector<Location>* unsent);

  // take_back_one does so for one task: false if the worker has begun it, or will hand it back;
  // and if it is a call of an actor that has been sent.
  bool take_back_one(const Task* task, std::vector<Location>* unsent);

  // find_task is the entry of a task that the worker has; nullptr if it has not.
  Outstanding* find_task(const Task* task);

  // step_interrupts passes the first of `interrupts` on, see interrupt.h. True if the worker is to
  // be sent the signal (again).
  bool step_interrupts();

  // started tells whether the worker had begun to run that task (for death accounting).
  bool started(const Outstanding& entry) const;

  bool looks_empty() const { return !replies.has_data(); }

  // can_be_worker: process groups are killed by this number, so never take this process's own.
  static bool can_be_worker(int64_t pid) {
    return pid > 1 && pid <= INT32_MAX && pid != os::own_pid();
  }

  sched::Worker worker;
  Actor* actor = nullptr;  // whose worker it is, from the sending of its constructor on
  Template* origin = nullptr;  // that forks it
  ClientId client{};
  pid_t pid = 0;
  uint64_t next_sequence = 1;
  uint64_t last_function = 0;   // sent most recently
  bool hello = false;
  bool retiring = false;        // told to leave
  bool failed = false;          // protocol error: killed, its death is being awaited
  Nanos recalled_at = INT64_MIN / 2;  // when it was last asked to forget places
  uint64_t memory_before = 0;    // bytes of its own that it held when its lease began, if limited
  uint64_t seen_sequence = 0;    // of the task that it ran at the last look at its memory
  uint64_t begun = 0;            // the place of that one among all that began
  std::unique_ptr<MemoryDeath> memory_death;  // it was killed for its memory
  bool needs_attention = false;  // it was sent what must not wait for the end of its task
  ipc::RingProducer tasks;
  ipc::RingConsumer replies;
  os::Fd memfd;
  os::Fd socket;        // ours
  os::Fd peer_socket;   // the worker's, until it has been sent
  os::Fd orphan_pidfd;  // once the template that reported its end is gone
  std::deque<Outstanding> outstanding;
  std::vector<std::vector<uint64_t>> awaited;  // ids, for each task on its stack that is blocked
  FlatMap<uint32_t> held;                    // id -> HeldFlags
  std::unordered_set<uint64_t> functions;    // that it was sent
  std::unordered_set<uint32_t> chunks;       // that it has mapped
  std::vector<Location> jumbo_spans;         // of records sent through the store, in order
  std::deque<uint64_t> interrupts;           // sequences of tasks that it is to interrupt

 private:
  struct Waiting {
    uint16_t type;
    uint64_t sequence;
    std::vector<std::byte> bytes;
  };

  void want_space(bool wanted);
  template <class Wanted>
  void drop_waiting(Wanted wanted, std::vector<Location>* unsent_spans);

  bool send_waiting_descriptors();

  os::Mapping memory_;
  std::deque<Waiting> overflow_;
  std::deque<std::pair<uint32_t, os::Fd>> descriptors_;  // that the socket had no room for
};

}  // namespace bolide::node

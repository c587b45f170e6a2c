// task: what the scheduler knows of a task, the class it belongs to, and a worker's slot.
//
// The node derives its own task record from sched::Task, so a task costs one allocation and
// the queues are links inside it. The scheduler reads nothing of the payload.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "sched/resources.h"

namespace bolide::sched {

struct CallQueue;
struct Environment;
struct Group;
struct SchedulingClass;
struct Worker;

enum class TaskState : uint8_t {
  kWaiting,   // for the objects that it depends on
  kReady,     // in its class's queue
  kAssigned,  // in a worker's ring, perhaps started
};

struct Task {
  Task* previous = nullptr;  // in the ready queue
  Task* next = nullptr;
  SchedulingClass* cls = nullptr;
  Worker* worker = nullptr;    // when assigned
  CallQueue* calls = nullptr;  // of an actor's call: where it waits its turn (actors.h)
  uint32_t waiting_for = 0;    // dependencies that are not ready
  TaskState state = TaskState::kWaiting;
  bool heavy = false;       // the owner has a say when it begins: Actions::admits
  bool holds_back = false;  // a call that may have to run again before its caller's later ones
};

// ReadyQueue is first in, first out, and lets a task be taken out of the middle.
class ReadyQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  Task* front() const { return head_; }

  void push_back(Task* task) {
    task->previous = tail_;
    task->next = nullptr;
    (tail_ == nullptr ? head_ : tail_->next) = task;
    tail_ = task;
    ++size_;
  }
  void push_front(Task* task) {
    task->previous = nullptr;
    task->next = head_;
    (head_ == nullptr ? tail_ : head_->previous) = task;
    head_ = task;
    ++size_;
  }
  void remove(Task* task) {
    (task->previous == nullptr ? head_ : task->previous->next) = task->next;
    (task->next == nullptr ? tail_ : task->next->previous) = task->previous;
    task->previous = task->next = nullptr;
    --size_;
  }

 private:
  Task* head_ = nullptr;
  Task* tail_ = nullptr;
  size_t size_ = 0;
};

// Tasks that need the same resources and environment share a class: a worker that holds the
// class's lease can be handed any number of them one after another. A task of a dedicated class
// (an actor's constructor) gets a worker for itself and for good.
struct SchedulingClass {
  uint64_t key = 0;
  Need need;
  Amount cpu = 0;          // of need: what a blocked worker gives back
  uint64_t memory = 0;     // of need, in bytes: what its tasks may hold; 0: any number
  Environment* environment = nullptr;
  bool dedicated = false;
  Group* group = nullptr;  // a placement group: there is its room (groups.h)
  int32_t bundle = -1;     // of that group, which one; -1: any
  Need kept;               // dedicated: what its worker holds once the task is done
  ReadyQueue ready;
  std::vector<Worker*> leased;  // hottest last
  int64_t mean_ns = 0;          // running mean of what its tasks took; 0: unknown
  Nanos starving_since = -1;    // it has ready tasks, no worker, and its need does not fit
  bool feasible = true;  // its tasks count: the need fits this node, the environment is open
  bool warned = false;
};

enum class WorkerState : uint8_t { kStarting, kIdle, kLeased, kDedicated, kGone };

// A worker process as the scheduler sees it. The task that it runs may block; it may then run
// one that it waits for on top (`inlined`), which may block again: so both are depths.
struct Worker {
  WorkerId id{};
  void* owner = nullptr;  // what the scheduler's owner attaches
  WorkerState state = WorkerState::kStarting;
  Environment* environment = nullptr;  // set before it is ready
  SchedulingClass* cls = nullptr;  // whose lease it holds
  Room* room = nullptr;            // what the lease was taken from: the node's, or a bundle's
  Shares devices;                  // the GPUs that it has with that
  uint32_t outstanding = 0;        // assigned and not completed
  uint32_t depth = 1;              // how many may be outstanding: about 100 us of work;
                                   // 0: it is stuck in a long task
  uint32_t blocked = 0;
  uint32_t inlined = 0;
  bool has_devices = false;  // had any with its last lease
  bool new_devices = false;  // they may be others than those it was told of
  bool can_inline = false;  // the blocked task waits without a limit, in its own thread
  bool hold = false;        // it handed a task back: send nothing before its next result
  bool settled = false;     // dedicated: its first task is done, it holds what its class keeps
  const SchedulingClass* served = nullptr;  // the class of its last lease
  int64_t mean_ns = 0;  // running mean of its task times in that class; 0: unknown
  uint64_t completed = 0;
  uint64_t completed_at_look = 0;  // stuck detection: `completed` when it was last looked at
  Nanos looked_at = 0;
  Nanos idle_since = 0;

  bool waiting() const { return blocked > inlined; }
};

}  // namespace bolide::sched

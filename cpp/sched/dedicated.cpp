// dedicated: workers that leave the pool for good with their first task, the constructor of an
// actor. Part of Scheduler; what such a worker is sent afterwards is decided in actors.h.
#include "base/assert.h"
#include "sched/scheduler.h"

namespace bolide::sched {

SchedulingClass* Scheduler::define_dedicated(uint64_t key, Need need, Need kept) {
  SchedulingClass* cls = define(key, std::move(need));
  cls->dedicated = true;
  cls->kept = std::move(kept);
  return cls;
}

// held_by is what a dedicated worker holds now: all that it was placed with until its first task
// is done, less afterwards.
const Need& Scheduler::held_by(const Worker& worker) {
  return worker.settled ? worker.cls->kept : worker.cls->need;
}

// pin keeps count of what is held for good, so that no class is promised room that never comes.
void Scheduler::pin(const Need& need, int sign) {
  for (const Quantity& q : need) {
    if (q.resource >= pinned_.size()) pinned_.resize(q.resource + 1, 0);
    pinned_[q.resource] += sign * q.amount;
  }
}

bool Scheduler::place_dedicated(Task* task, Nanos now) {
  SchedulingClass& cls = *task->cls;
  if (!fits(cls)) {
    if (cls.starving_since < 0) cls.starving_since = now;
    return false;
  }
  if (cls.environment->idle.empty()) return false;
  // The coldest: tasks are better off with the worker that they used last.
  Worker& worker = *cls.environment->idle.front();
  take_idle(worker);
  leaves_pool(worker);
  ++dedicated_;
  enter_room(worker, cls);
  if (worker.room == &ledger_) pin(cls.need, +1);
  worker.state = WorkerState::kDedicated;
  worker.settled = false;
  announce(worker);
  if (task->state == TaskState::kReady) unqueue(task);
  task->state = TaskState::kAssigned;
  task->worker = &worker;
  cls.starving_since = -1;
  pause_ = policy_.stuck;
  actions_.assign(worker, *task, false);
  return true;
}

void Scheduler::settled(Worker& worker, Task* task) {
  BOLIDE_DCHECK(worker.state == WorkerState::kDedicated && !worker.settled, "settled twice");
  const bool counts = worker.room == &ledger_;
  worker.room->give(held_by(worker));
  if (counts) pin(held_by(worker), -1);
  worker.settled = true;
  worker.room->take(held_by(worker));
  if (counts) pin(held_by(worker), +1);
  // What it keeps are the same devices.
  if (Room::amount_of(worker.cls->kept, kGpu) == 0) worker.room->give_devices(&worker.devices);
  task->worker = nullptr;
}

}  // namespace bolide::sched

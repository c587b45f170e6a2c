#include "sched/scheduler.h"

#include <algorithm>

#include "base/assert.h"

namespace bolide::sched {
namespace {

void drop(std::vector<Worker*>& list, Worker* worker) {
  // The hottest worker is last, and it is the one that is usually dropped.
  for (size_t i = list.size(); i-- > 0;) {
    if (list[i] == worker) {
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }
  BOLIDE_CHECK(false, "a worker is missing from the list of its state");
}

constexpr Nanos kLongest = 3'600'000'000'000;  // a duration; what says more is not believed

}  // namespace

Scheduler::Scheduler(const Policy& policy, Actions& actions)
    : policy_(policy),
      actions_(actions),
      home_(&define_environment(kHomeEnvironment)),
      default_(define(kDefaultClass, {{kCpu, kUnit}})) {
  home_->open = true;
}

SchedulingClass* Scheduler::cls(uint64_t key) {
  auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

SchedulingClass* Scheduler::define(uint64_t key, Need need) {
  auto fresh = std::make_unique<SchedulingClass>();
  fresh->key = key;
  fresh->environment = home_;
  for (const Quantity& q : need) {
    if (q.resource == kCpu) fresh->cpu = q.amount;
    if (q.resource == kMemory) fresh->memory = static_cast<uint64_t>(q.amount / kUnit);
  }
  fresh->need = std::move(need);
  classes_.push_back(std::move(fresh));
  by_key_[key] = classes_.back().get();
  return classes_.back().get();
}

void Scheduler::join(SchedulingClass* cls, Group* group, int32_t bundle) {
  cls->group = group;
  cls->bundle = bundle;
  group->classes.push_back(cls);
  for (Bundle& each : group->bundles) each.room.widen(ledger_.kinds());
}

// ---- tasks

void Scheduler::submit(Task* task, Nanos now) {
  SchedulingClass& cls = *task->cls;
  const bool others_first = reserved_ != nullptr && reserved_ != &cls && cls.group == nullptr;
  if (cls.ready.empty() && !others_first && place(task, now)) return;
  queue(task, false);
  // Above the limit dispatch first looks for a blocked worker that waits for the task.
  if (waiting_ <= policy_.max_blocked) start_for(cls, now);
}

void Scheduler::resubmit(Task* task) { queue(task, true); }

void Scheduler::forget(Task* task) { unqueue(task); }

std::vector<Task*> Scheduler::take_all_ready(const Environment& environment) {
  std::vector<Task*> tasks;
  for (const auto& cls : classes_) {
    if (cls->environment != &environment || !cls->feasible) continue;
    while (!cls->ready.empty()) {
      tasks.push_back(cls->ready.front());
      unqueue(tasks.back());
    }
  }
  return tasks;
}

void Scheduler::queue(Task* task, bool front) {
  SchedulingClass& cls = *task->cls;
  task->state = TaskState::kReady;
  task->worker = nullptr;
  pause_ = policy_.stuck;
  cls.feasible = cls.environment->open && feasible(cls);
  if (cls.feasible) {
    if (cls.ready.empty()) active_.push_back(&cls);
    ++ready_;
    ++cls.environment->ready;
  } else if (cls.environment->open) {
    warn(cls);
  } else {
    ask(*cls.environment);
  }
  front ? cls.ready.push_front(task) : cls.ready.push_back(task);
}

void Scheduler::warn(SchedulingClass& cls) {
  if (cls.warned) return;
  cls.warned = true;
  actions_.warn_infeasible(cls);
}

void Scheduler::unqueue(Task* task) {
  SchedulingClass& cls = *task->cls;
  cls.ready.remove(task);
  if (!cls.feasible) return;
  --ready_;
  --cls.environment->ready;
  if (cls.ready.empty()) {
    active_.erase(std::find(active_.begin(), active_.end(), &cls));
    if (reserved_ == &cls) reserved_ = nullptr;
    cls.starving_since = -1;
  }
}

void Scheduler::assign(Worker& worker, Task* task, bool inlined) {
  pause_ = policy_.stuck;
  if (task->state == TaskState::kReady) unqueue(task);
  task->state = TaskState::kAssigned;
  task->worker = &worker;
  if (++worker.outstanding > 1) ++behind_;
  if (inlined) {
    const bool was_waiting = worker.waiting();
    ++worker.inlined;
    settle_cpu(worker, was_waiting);
  }
  task->cls->starving_since = -1;
  actions_.assign(worker, *task, inlined);
}

void Scheduler::leave_ring(Worker& worker) {
  if (worker.outstanding-- > 1) --behind_;
}

void Scheduler::completed(Worker& worker, Task* task, bool inlined, Nanos duration, Nanos now) {
  leave_ring(worker);
  worker.hold = false;
  ++worker.completed;
  duration = std::clamp<Nanos>(duration, 1, kLongest);
  const bool first = worker.mean_ns == 0;
  worker.mean_ns = first ? duration : worker.mean_ns + (duration - worker.mean_ns) / 8;
  task->cls->mean_ns = worker.mean_ns;
  if (first || worker.depth == 0 || worker.completed < 16 || worker.completed % 8 == 0) {
    set_depth(worker);
  }
  if (inlined) {
    end_inlined(worker);
    worker.can_inline = worker.waiting();
  }
  if (worker.outstanding == 0 && worker.blocked == 0) end_lease(worker, now);
}

// settle_cpu lends or takes back the CPU after the worker's depths have changed.
void Scheduler::settle_cpu(Worker& worker, bool was_waiting) {
  if (worker.waiting() == was_waiting) return;
  if (was_waiting) {
    --waiting_;
    worker.room->take_cpu(worker.cls->cpu);
  } else {
    ++waiting_;
    worker.room->give_cpu(worker.cls->cpu);
  }
}

void Scheduler::end_inlined(Worker& worker) {
  const bool was_waiting = worker.waiting();
  --worker.inlined;
  settle_cpu(worker, was_waiting);
}

void Scheduler::set_depth(Worker& worker) {
  const auto mean = static_cast<uint64_t>(std::max<int64_t>(1, worker.mean_ns));
  const uint64_t depth = static_cast<uint64_t>(policy_.pipeline) / mean;
  worker.depth = static_cast<uint32_t>(std::clamp<uint64_t>(depth, 1, policy_.max_depth));
}

void Scheduler::handed_back(Worker& worker, Task* task, bool inlined) {
  if (inlined) {
    end_inlined(worker);
    worker.can_inline = false;  // a thread reads its ring that cannot run tasks
  }
  taken_back(worker, task);
  if (worker.blocked == 0) worker.hold = worker.outstanding > 0;
}

void Scheduler::taken_back(Worker& worker, Task* task) {
  leave_ring(worker);
  queue(task, true);
  if (worker.outstanding == 0 && worker.blocked == 0 && worker.state == WorkerState::kLeased) {
    end_lease(worker, worker.looked_at);
  }
}

// ---- workers

void Scheduler::worker_starting(Environment& environment) {
  ++starting_;
  ++environment.starting;
}

void Scheduler::worker_start_failed(Environment& environment) {
  --starting_;
  --environment.starting;
}

void Scheduler::worker_ready(Worker& worker, Nanos now) {
  worker_start_failed(*worker.environment);  // it is not starting any more
  ++alive_;
  ++worker.environment->alive;
  worker.state = WorkerState::kIdle;
  worker.idle_since = now;
  put_idle(worker, true);
}

void Scheduler::abandon(Worker& worker, Task* task) {
  task->worker = nullptr;
  if (worker.state != WorkerState::kDedicated) leave_ring(worker);
}

void Scheduler::worker_gone(Worker& worker) {
  switch (worker.state) {
    case WorkerState::kStarting:
      worker_start_failed(*worker.environment);
      break;
    case WorkerState::kIdle:
      take_idle(worker);
      leaves_pool(worker);
      break;
    case WorkerState::kLeased:
      if (worker.waiting()) {
        --waiting_;
        worker.room->take_cpu(worker.cls->cpu);
      }
      drop(worker.cls->leased, &worker);
      drop(leased_, &worker);
      leave_room(worker, worker.cls->need);
      leaves_pool(worker);
      break;
    case WorkerState::kDedicated:
      if (worker.room == &ledger_) pin(held_by(worker), -1);
      leave_room(worker, held_by(worker));
      --dedicated_;
      break;
    case WorkerState::kGone:
      break;
  }
  worker.state = WorkerState::kGone;
  worker.cls = nullptr;
  worker.blocked = worker.inlined = 0;
}

void Scheduler::lease(Worker& worker, SchedulingClass& cls, Nanos now) {
  take_idle(worker);
  enter_room(worker, cls);
  worker.state = WorkerState::kLeased;
  worker.completed_at_look = worker.completed - 1;  // `now` may be long past: see relieve
  worker.looked_at = now;
  if (worker.served != &cls) {
    worker.served = &cls;
    worker.mean_ns = 0;
    worker.depth = 1;
  }
  if (worker.depth == 0) worker.depth = 1;
  cls.leased.push_back(&worker);
  leased_.push_back(&worker);
  announce(worker);
}

void Scheduler::announce(Worker& worker) {
  if (!announce_lease_ && worker.cls->memory == 0) return;
  announce_lease_ = false;
  actions_.leased(worker);
}

// enter_room gives the worker what the class needs, which there is. It has to be told of GPUs, and of
// none after some.
void Scheduler::enter_room(Worker& worker, SchedulingClass& cls) {
  const bool had = worker.has_devices;
  worker.cls = &cls;
  worker.room = room_for(cls);
  if (cls.group != nullptr) ++cls.group->leases;
  worker.room->take(cls.need);
  worker.devices = worker.room->take_devices(cls.need);
  worker.has_devices = !worker.devices.empty();
  if (had || worker.has_devices) worker.new_devices = true;
}

void Scheduler::end_lease(Worker& worker, Nanos now) {
  drop(worker.cls->leased, &worker);
  drop(leased_, &worker);
  const Group* group = worker.cls->group;
  const bool was_killed = group != nullptr && group->state == GroupState::kRemoved;
  leave_room(worker, worker.cls->need);
  worker.hold = false;
  if (was_killed) {
    worker.state = WorkerState::kGone;
    leaves_pool(worker);
    return;
  }
  worker.state = WorkerState::kIdle;
  worker.idle_since = now;
  put_idle(worker, true);
}

void Scheduler::blocked(Worker& worker, bool can_inline) {
  if (worker.state != WorkerState::kLeased) return;
  const bool was_waiting = worker.waiting();
  ++worker.blocked;
  worker.can_inline = can_inline;
  settle_cpu(worker, was_waiting);
}

void Scheduler::unblocked(Worker& worker) {
  if (worker.state != WorkerState::kLeased || worker.blocked == 0) return;
  const bool was_waiting = worker.waiting();
  --worker.blocked;
  worker.can_inline = worker.waiting();
  worker.hold = false;
  settle_cpu(worker, was_waiting);
  if (worker.outstanding == 0 && worker.blocked == 0) end_lease(worker, worker.looked_at);
}

// ---- looking after workers

void Scheduler::relieve(Nanos now) {
  for (size_t i = leased_.size(); i-- > 0;) {
    Worker& worker = *leased_[i];
    if (worker.outstanding == 0 || worker.blocked != 0) continue;
    // One that has only the task it runs matters to those that wait in the queue: they count on it.
    const bool alone = worker.outstanding == 1;
    if (alone && (worker.depth == 0 || worker.cls->ready.empty())) continue;
    const bool progressed = worker.completed != worker.completed_at_look;
    if (progressed) {
      worker.completed_at_look = worker.completed;
      worker.looked_at = now;
    }
    SchedulingClass& cls = *worker.cls;
    if (!fits(cls)) continue;
    const bool stuck = !progressed && now - worker.looked_at >= policy_.stuck;
    const bool spare = !cls.environment->idle.empty() && cls.ready.empty() && worker.mean_ns > policy_.tiny;
    if (!stuck && !spare) continue;
    if (stuck) cls.mean_ns = std::max(cls.mean_ns, now - worker.looked_at);
    if (stuck) worker.depth = 0;
    if (alone) {
      if (stuck && (reserved_ == nullptr || reserved_ == &cls)) drain(cls, now);
      continue;
    }
    actions_.take_back(worker);
    if (worker.state == WorkerState::kIdle) {
      // It had not even begun, so let others be first.
      take_idle(worker);
      put_idle(worker, false);
    }
    drain(cls, now);
  }
}

std::optional<Nanos> Scheduler::next_look(Nanos now) const {
  const auto may_be_relieved = [this](const Worker* worker) {
    return worker->outstanding > 1 && worker->blocked == 0 && fits(*worker->cls);
  };
  const auto may_be_placed = [this](const SchedulingClass* cls) { return fits(*cls); };
  if ((behind_ != 0 && std::any_of(leased_.begin(), leased_.end(), may_be_relieved)) ||
      (ready_ != 0 && starting_ == 0 &&
       std::any_of(active_.begin(), active_.end(), may_be_placed))) {
    return now + pause_ / 2;
  }
  auto retirement = next_retirement();
  if (retirement.has_value()) retirement = std::max(now, *retirement);
  return retirement;
}

}  // namespace bolide::sched

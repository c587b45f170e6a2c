// placing: which worker a task goes to, and whether another one is started for it.
#include <algorithm>

#include "sched/scheduler.h"

namespace bolide::sched {
namespace {

// takes_more tells whether a leased worker will come to what is put behind its task.
bool takes_more(const Worker* worker) {
  return worker->blocked == 0 && worker->depth > 0 && !worker->hold;
}

}  // namespace

bool Scheduler::place(Task* task, Nanos now) {
  SchedulingClass& cls = *task->cls;
  if (cls.dedicated) return place_dedicated(task, now);
  if (task->heavy && !actions_.admits(*task)) {
    if (task->state == TaskState::kReady) unqueue(task);
    task->state = TaskState::kWaiting;
    return true;
  }
  // Only tiny tasks are put behind others while a worker is idle.
  const bool spread = !cls.environment->idle.empty() &&
                      (cls.mean_ns == 0 || cls.mean_ns > policy_.tiny) && fits(cls);
  for (size_t i = spread ? 0 : cls.leased.size(); i-- > 0;) {
    Worker& worker = *cls.leased[i];
    if (worker.outstanding < worker.depth && takes_more(&worker)) {
      assign(worker, task, false);
      return true;
    }
  }
  if (!spread && !fits(cls)) {
    // All CPUs are busy. One task may wait in the ring of a worker whose tasks are short
    // enough, so that it need not ask for the next one.
    bool served = false;
    for (size_t i = cls.leased.size(); i-- > 0;) {
      Worker& worker = *cls.leased[i];
      served |= worker.blocked == 0;
      if (worker.outstanding < 2 && takes_more(&worker) && worker.mean_ns > 0 &&
          worker.mean_ns < 100 * policy_.pipeline) {
        assign(worker, task, false);
        return true;
      }
    }
    if (!served && cls.starving_since < 0) cls.starving_since = now;
    return false;
  }
  if (!worth_another(cls)) return false;
  if (!cls.environment->idle.empty()) {
    Worker& worker = *cls.environment->idle.back();
    lease(worker, cls, now);
    assign(worker, task, false);
    return true;
  }
  return waiting_ > policy_.max_blocked && inline_one(cls) && task->state == TaskState::kAssigned;
}

bool Scheduler::worth_another(const SchedulingClass& cls) const {
  if (cls.mean_ns == 0 || cls.mean_ns > policy_.tiny) return true;
  if (std::none_of(cls.leased.begin(), cls.leased.end(), takes_more)) return true;
  // Waking another worker costs tens of microseconds and, when every core has a party that
  // runs, slows the others: the backlog must be worth it.
  const Nanos backlog = static_cast<Nanos>(cls.ready.size() + 1) * cls.mean_ns;
  const size_t busy = leased_.size() - waiting_ + (someone_waits_ ? 0 : 1);
  const bool free_core = busy < static_cast<size_t>(policy_.cores);
  return backlog > (free_core ? 2 : 50) * policy_.pipeline;
}

// start_for starts a worker for a task in the class's queue, if one would help.
void Scheduler::start_for(const SchedulingClass& cls, Nanos now) {
  if (!cls.feasible || !cls.environment->idle.empty() || !fits(cls)) return;
  if (worth_another(cls) && may_start(cls, now)) actions_.start_worker(*cls.environment);
}

bool Scheduler::has_cpu_for(const SchedulingClass& cls, size_t workers) const {
  const Amount free = cls.group == nullptr ? ledger_.free(kCpu) : cls.group->free_cpu(cls);
  return free >= static_cast<Amount>(workers) * cls.cpu;
}

bool Scheduler::may_start(const SchedulingClass& cls, Nanos now) {
  const Environment& environment = *cls.environment;
  if (starting_ >= policy_.max_starting || environment.starting >= environment.ready) return false;
  if (cls.cpu > 0) {
    if (!has_cpu_for(cls, starting_ + 1)) return false;
  } else if (environment.alive + environment.starting >= waiting_ + policy_.max_zero_cpu) {
    return false;
  }
  if (waiting_ <= policy_.max_blocked) return true;
  if (now < next_start_ || starting_ > 0) return false;
  const size_t excess = std::min<size_t>(8, waiting_ / std::max(1u, policy_.max_blocked) - 1);
  next_start_ = now + (policy_.start_pause << excess);
  return true;
}

bool Scheduler::inline_one(SchedulingClass& cls) {
  for (size_t i = cls.leased.size(); i-- > 0;) {
    Worker& worker = *cls.leased[i];
    if (!worker.waiting() || !worker.can_inline) continue;
    Task* task = actions_.awaited_by(worker, cls);
    if (task == nullptr) continue;
    assign(worker, task, true);
    return true;
  }
  return false;
}

void Scheduler::drain(SchedulingClass& cls, Nanos now) {
  while (!cls.ready.empty()) {
    const size_t before = cls.ready.size();
    if (place(cls.ready.front(), now) || cls.ready.size() != before) continue;
    start_for(cls, now);
    return;
  }
}

// attainable: the class would find room if all workers that run came to an end. What a blocked
// worker holds beside its CPU comes back only when it goes on, perhaps after others were placed.
bool Scheduler::attainable(const SchedulingClass& cls) const {
  for (const Quantity& need : cls.need) {
    Amount room = ledger_.total(need.resource);
    if (need.resource < pinned_.size()) room -= pinned_[need.resource];
    for (const Worker* worker : leased_) {
      if (!worker->waiting() || need.resource == kCpu || worker->room != &ledger_) continue;
      for (const Quantity& held : worker->cls->need) {
        if (held.resource == need.resource) room -= held.amount;
      }
    }
    if (room < need.amount) return false;
  }
  return true;
}

// starving is the class, or the claim of a group, that has waited longest for room of the node's.
SchedulingClass* Scheduler::starving(Nanos now) const {
  SchedulingClass* oldest = nullptr;
  for (SchedulingClass* cls : active_) {
    if (cls->group == nullptr) oldest = starved_longer(oldest, cls, now);
  }
  for (Group* group : waiting_groups_) oldest = starved_longer(oldest, &group->claim, now);
  return oldest;
}

SchedulingClass* Scheduler::starved_longer(SchedulingClass* oldest, SchedulingClass* cls,
                                           Nanos now) const {
  if (cls->starving_since < 0 || now - cls->starving_since < policy_.starving) return oldest;
  if (oldest != nullptr && cls->starving_since >= oldest->starving_since) return oldest;
  return attainable(*cls) ? cls : oldest;
}

void Scheduler::dispatch(Nanos now) {
  // Looks that find nothing to do become rarer; whatever changes makes them frequent again.
  if (now >= looked_at_ + pause_ / 2) {
    looked_at_ = now;
    pause_ = std::min(2 * pause_, policy_.longest_pause);
  }
  if (ready_ != 0 || !waiting_groups_.empty()) {
    reserved_ = starving(now);
    if (!waiting_groups_.empty()) place_groups(now);
    if (reserved_ != nullptr) drain(*reserved_, now);
    if (reserved_ != nullptr) reserved_ = starving(now);
    for (size_t i = active_.size(); i-- > 0;) {
      if (i >= active_.size()) continue;
      // A group's tasks take nothing that another class waits for.
      if (reserved_ == nullptr || active_[i]->group != nullptr) drain(*active_[i], now);
    }
  }
  if (behind_ != 0 || ready_ != 0) relieve(now);
  if (!home_->idle.empty() || idle_away_ != 0) retire_idle(now);
}

}  // namespace bolide::sched

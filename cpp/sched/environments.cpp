// environments: tasks whose workers begin with something else than the job's. Part of Scheduler.
#include <algorithm>

#include "base/assert.h"
#include "sched/scheduler.h"

namespace bolide::sched {

Environment* Scheduler::environment(uint64_t key) {
  for (const auto& environment : environments_) {
    if (environment->key == key) return environment.get();
  }
  return nullptr;
}

Environment& Scheduler::define_environment(uint64_t key) {
  environments_.push_back(std::make_unique<Environment>());
  environments_.back()->key = key;
  return *environments_.back();
}

// ask has the owner set the environment up, unless it is at it.
void Scheduler::ask(Environment& environment) {
  if (environment.asked) return;
  environment.asked = true;
  actions_.set_up(environment);
}

void Scheduler::open(Environment& environment) {
  if (environment.open) return;
  environment.open = true;
  for (const auto& cls : classes_) {
    if (cls->environment != &environment || cls->ready.empty()) continue;
    cls->starving_since = -1;
    cls->feasible = feasible(*cls);
    if (cls->feasible) {
      active_.push_back(cls.get());
      ready_ += cls->ready.size();
      environment.ready += cls->ready.size();
    } else {
      warn(*cls);
    }
  }
}

std::vector<Task*> Scheduler::close(Environment& environment) {
  std::vector<Task*> tasks;
  for (const auto& cls : classes_) {
    while (cls->environment == &environment && !cls->ready.empty()) {
      tasks.push_back(cls->ready.front());
      unqueue(tasks.back());
    }
  }
  environment.open = environment.asked = false;
  return tasks;
}

// put_idle and take_idle keep count of the workers that are idle away from home.
void Scheduler::put_idle(Worker& worker, bool hottest) {
  Environment& environment = *worker.environment;
  environment.idle.insert(hottest ? environment.idle.end() : environment.idle.begin(), &worker);
  if (&environment != home_) ++idle_away_;
}

void Scheduler::take_idle(Worker& worker) {
  auto& idle = worker.environment->idle;
  // The hottest worker is last, and it is the one that is usually taken.
  for (size_t i = idle.size(); i-- > 0;) {
    if (idle[i] != &worker) continue;
    idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(i));
    if (worker.environment != home_) --idle_away_;
    return;
  }
  BOLIDE_CHECK(false, "an idle worker is missing from its environment");
}

void Scheduler::leaves_pool(Worker& worker) {
  --alive_;
  --worker.environment->alive;
}

// retire_idle ends workers that nobody needs. Away from home there are tasks now and then, and for
// few things: they are kept for a while, but no more of them than there are CPUs.
void Scheduler::retire_idle(Nanos now) {
  for (size_t i = 1; i < environments_.size() && idle_away_ != 0; ++i) {
    auto& idle = environments_[i]->idle;
    while (!idle.empty() && now >= retires_at(*idle.front())) retire(*idle.front());
  }
  while (spare_at_home() && now >= retires_at(*home_->idle.front())) retire(*home_->idle.front());
}

void Scheduler::retire(Worker& worker) {
  worker_gone(worker);
  actions_.retire(worker);
}

bool Scheduler::spare_at_home() const {
  return !home_->idle.empty() && home_->alive > waiting_ + kept_idle();
}

// kept_idle: as many idle workers as there are CPUs are no burden.
size_t Scheduler::kept_idle() const {
  return std::max<size_t>(1, static_cast<size_t>((ledger_.total(kCpu) + kUnit - 1) / kUnit));
}

Nanos Scheduler::retires_at(const Worker& worker) const {
  const bool kept = worker.environment != home_ && idle_away_ <= kept_idle();
  return worker.idle_since + (kept ? policy_.keep_away : policy_.retire_after);
}

std::optional<Nanos> Scheduler::next_retirement() const {
  std::optional<Nanos> next;
  if (spare_at_home()) next = retires_at(*home_->idle.front());
  for (size_t i = 1; i < environments_.size() && idle_away_ != 0; ++i) {
    if (environments_[i]->idle.empty()) continue;
    const Nanos at = retires_at(*environments_[i]->idle.front());
    next = next.has_value() ? std::min(*next, at) : at;
  }
  return next;
}

}  // namespace bolide::sched

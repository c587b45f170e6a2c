// sched_testing: a scheduler with an owner that records what it is asked to do and plays the
// workers. After every step of a test the scheduler's audit and the owner's own books must agree.
// Not a test itself.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sched/scheduler.h"
#include "support/seeds.h"

namespace bolide::sched::testing {

inline constexpr Nanos kUs = 1'000;
inline constexpr Nanos kMs = 1'000'000;

class Owner : public Actions {
 public:
  explicit Owner(Amount cpus, Policy policy = {}) : scheduler(policy, *this) {
    scheduler.ledger().set_total(kCpu, cpus);
  }

  // What a worker has been sent and has not answered.
  struct Sent {
    Task* task;
    bool inlined;
  };
  struct Process : Worker {
    std::deque<Sent> ring;
    size_t claimed = 1;  // how many of `ring` the worker has begun: not to be taken back
    std::vector<Task*> awaits;
    Task* constructor = nullptr;  // of a dedicated worker, until settle
  };

  Scheduler scheduler;
  Nanos time = 1'000'000'000;
  std::deque<std::unique_ptr<Process>> workers;
  std::deque<Task> tasks;
  int starts = 0;  // asked for and not yet made by start()
  std::deque<Environment*> asked;  // of those
  std::vector<Environment*> to_set_up;
  std::vector<Worker*> retired;
  std::vector<SchedulingClass*> warned;
  std::vector<Worker*> announced;  // by leased()

  // --- the owner's side
  // start makes a worker that is there: one that was asked for, or another.
  Process& start() {
    if (starts == 0) {
      scheduler.worker_starting(scheduler.home());
      asked.push_back(&scheduler.home());
    } else {
      --starts;
    }
    workers.push_back(std::make_unique<Process>());
    workers.back()->environment = asked.front();
    asked.pop_front();
    workers.back()->id = WorkerId{static_cast<uint32_t>(workers.size())};
    scheduler.worker_ready(*workers.back(), time);
    check();
    return *workers.back();
  }

  Task* make(SchedulingClass* cls = nullptr) {
    tasks.emplace_back();
    tasks.back().cls = cls == nullptr ? scheduler.default_class() : cls;
    return &tasks.back();
  }
  Task* submit(SchedulingClass* cls = nullptr) {
    Task* task = make(cls);
    scheduler.submit(task, time);
    check();
    return task;
  }

  using Quantities = std::vector<std::pair<const char*, double>>;
  SchedulingClass* define(uint64_t key, const Quantities& need) {
    return scheduler.define(key, need_of(need));
  }
  SchedulingClass* define_dedicated(uint64_t key, const Quantities& need, const Quantities& kept) {
    return scheduler.define_dedicated(key, need_of(need), need_of(kept));
  }
  Need need_of(const Quantities& quantities) {
    Need need;
    for (const auto& [name, amount] : quantities) {
      need.push_back({scheduler.ledger().intern(name), static_cast<Amount>(amount * kUnit)});
    }
    return need;
  }
  void set_total(const char* name, double amount) {
    scheduler.ledger().set_total(scheduler.ledger().intern(name),
                                 static_cast<Amount>(amount * kUnit));
  }
  double free(const char* name = "CPU") {
    return static_cast<double>(scheduler.ledger().free(scheduler.ledger().intern(name))) / kUnit;
  }

  // finish ends the oldest task of a worker, or the inlined one on top.
  void finish(Worker& worker, Nanos duration = 10 * kUs) {
    auto& ring = process(worker).ring;
    REQUIRE(!ring.empty());
    const bool top = ring.back().inlined;
    const Sent sent = top ? ring.back() : ring.front();
    top ? ring.pop_back() : ring.pop_front();
    scheduler.completed(worker, sent.task, sent.inlined, duration, time);
    check();
  }
  // settle ends the first task of a dedicated worker.
  void settle(Worker& worker) {
    Task* task = std::exchange(process(worker).constructor, nullptr);
    REQUIRE(task != nullptr);
    scheduler.settled(worker, task);
    check();
  }
  // hand_back returns the newest task that the worker has not begun.
  Task* hand_back(Worker& worker) {
    const Sent sent = process(worker).ring.back();
    process(worker).ring.pop_back();
    scheduler.handed_back(worker, sent.task, sent.inlined);
    check();
    return sent.task;
  }
  void block(Worker& worker, bool can_inline = true, std::vector<Task*> awaits = {}) {
    process(worker).awaits = std::move(awaits);
    scheduler.blocked(worker, can_inline);
    check();
  }
  void unblock(Worker& worker) {
    scheduler.unblocked(worker);
    check();
  }
  // die ends a worker as Node::worker_exited does: what had not begun goes back to its queue,
  // what had is returned.
  std::vector<Task*> die(Worker& worker) {
    std::vector<Task*> begun;
    if (Task* task = std::exchange(process(worker).constructor, nullptr)) {
      scheduler.abandon(worker, task);
      begun.push_back(task);
    }
    auto& ring = process(worker).ring;
    for (size_t i = ring.size(); i-- > 0;) {
      scheduler.abandon(worker, ring[i].task);
      if (i < process(worker).claimed || ring[i].inlined) {
        begun.push_back(ring[i].task);
      } else {
        scheduler.resubmit(ring[i].task);
      }
    }
    ring.clear();
    scheduler.worker_gone(worker);
    check();
    return begun;
  }
  void dispatch(Nanos later = 0) {
    time += later;
    scheduler.dispatch(time);
    check();
  }
  // look sleeps as the node does and dispatches; false: nothing would ever have woken it.
  bool look() {
    const auto next = scheduler.next_look(time);
    if (!next.has_value()) return false;
    dispatch(std::max<Nanos>(0, *next - time));
    return true;
  }

  static Process& process(Worker& worker) { return static_cast<Process&>(worker); }
  size_t in_ring(const Worker& worker) const {
    return static_cast<const Process&>(worker).ring.size();
  }

  void check() {
    std::vector<Worker*> all;
    for (const auto& worker : workers) all.push_back(worker.get());
    REQUIRE(scheduler.audit(all));
    size_t assigned = 0;
    for (const auto& worker : workers) {
      REQUIRE(worker->outstanding == worker->ring.size());
      for (const Sent& sent : worker->ring) {
        REQUIRE(sent.task->state == TaskState::kAssigned);
        REQUIRE(sent.task->worker == worker.get());
        ++assigned;
      }
      if (worker->state == WorkerState::kIdle) REQUIRE(worker->cls == nullptr);
      if (const Task* task = worker->constructor) {
        REQUIRE(worker->state == WorkerState::kDedicated);
        REQUIRE(task->worker == worker.get());
        ++assigned;
      }
    }
    size_t queued = 0;
    scheduler.for_each_queued([&](Task* task) {
      REQUIRE(task->state == TaskState::kReady);
      ++queued;
    });
    REQUIRE(queued >= scheduler.ready());
    REQUIRE(assigned + queued <= tasks.size());
  }

  // --- Actions
  void assign(Worker& worker, Task& task, bool inlined) override {
    if (worker.state == WorkerState::kDedicated) {
      REQUIRE(task.cls->dedicated);
      REQUIRE(process(worker).ring.empty());
      REQUIRE(process(worker).constructor == nullptr);
      process(worker).constructor = &task;
      return;
    }
    REQUIRE(worker.state == WorkerState::kLeased);
    REQUIRE(worker.environment == task.cls->environment);
    REQUIRE(!task.cls->dedicated);
    process(worker).ring.push_back({&task, inlined});
  }
  void start_worker(Environment& environment) override {
    REQUIRE(environment.open);
    ++starts;
    asked.push_back(&environment);
    scheduler.worker_starting(environment);
  }
  void set_up(Environment& environment) override {
    REQUIRE(!environment.open);
    to_set_up.push_back(&environment);
  }
  void take_back(Worker& worker) override {
    auto& ring = process(worker).ring;
    while (ring.size() > process(worker).claimed) {
      Task* task = ring.back().task;
      ring.pop_back();
      scheduler.taken_back(worker, task);
    }
  }
  void retire(Worker& worker) override { retired.push_back(&worker); }
  Task* awaited_by(Worker& worker, SchedulingClass& cls) override {
    for (Task* task : process(worker).awaits) {
      if (task->state == TaskState::kReady && task->cls == &cls) return task;
    }
    return nullptr;
  }
  void warn_infeasible(SchedulingClass& cls) override { warned.push_back(&cls); }
  void leased(Worker& worker) override { announced.push_back(&worker); }
};

// learn runs some tasks of a length on a worker, alone, so that means are known.
inline void learn(Owner& owner, Nanos length, SchedulingClass* cls = nullptr, int count = 40) {
  for (int i = 0; i < count; ++i) {
    Task* task = owner.submit(cls);
    REQUIRE(task->state == TaskState::kAssigned);
    owner.time += length;
    owner.finish(*task->worker, length);
  }
}

}  // namespace bolide::sched::testing

// Which worker a ready task goes to, how many wait in a ring, and when a process is started.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

namespace {
constexpr Amount kCpus = 2 * kUnit;
}

TEST_CASE("placing: without a worker one is started, one for a task and no more than CPUs") {
  Owner owner(kCpus);
  owner.submit();
  CHECK(owner.starts == 1);
  CHECK(owner.scheduler.ready() == 1);
  owner.submit();
  CHECK(owner.starts == 2);
  owner.submit();
  CHECK(owner.starts == 2);
  CHECK(owner.scheduler.starting() == 2);
  Worker& worker = owner.start();
  owner.dispatch();
  CHECK(owner.in_ring(worker) == 1);
  CHECK(owner.scheduler.ready() == 2);
  CHECK(owner.starts == 1);
}

TEST_CASE("placing: one task alone starts one worker, however often the node looks") {
  Owner owner(kCpus);
  owner.submit();
  for (int i = 0; i < 5; ++i) owner.dispatch(kMs);
  CHECK(owner.starts == 1);
}

TEST_CASE("placing: an idle worker gets the task at once, the one used last before others") {
  Owner owner(kCpus);
  Worker& first = owner.start();
  Worker& second = owner.start();
  Task* task = owner.submit();
  CHECK(task->worker == &second);
  owner.finish(second);
  CHECK(owner.submit()->worker == &second);
  owner.finish(second);
  CHECK(owner.in_ring(first) == 0);
  CHECK(owner.scheduler.idle() == 2);
  CHECK(owner.scheduler.ledger().balanced());
}

TEST_CASE("placing: tasks of unknown length spread over idle workers") {
  Owner owner(kCpus);
  Worker& first = owner.start();
  Worker& second = owner.start();
  owner.submit();
  owner.submit();
  CHECK(owner.in_ring(first) == 1);
  CHECK(owner.in_ring(second) == 1);
  owner.submit();  // and no third one is put behind them
  CHECK(owner.scheduler.ready() == 1);
}

TEST_CASE("placing: a class of unknown length spreads although its worker ran tiny tasks") {
  Owner owner(kCpus);
  Worker& first = owner.start();
  Worker& second = owner.start();
  learn(owner, 1 * kUs);
  CHECK(second.depth > 50);
  SchedulingClass* other = owner.define(7, {{"CPU", 1}});
  owner.submit(other);
  owner.submit(other);
  CHECK(owner.in_ring(first) == 1);
  CHECK(owner.in_ring(second) == 1);
}

TEST_CASE("placing: a worker that comes to another class has no depth from the old one") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  learn(owner, 1 * kUs);
  SchedulingClass* other = owner.define(7, {{"CPU", 1}});
  for (int i = 0; i < 20; ++i) owner.submit(other);
  CHECK(owner.in_ring(worker) == 1);
  CHECK(owner.scheduler.ready() == 19);
}

TEST_CASE("placing: tasks that are not tiny spread before any is put behind another") {
  Owner owner(kCpus);
  Worker& first = owner.start();
  Worker& second = owner.start();
  learn(owner, 30 * kUs);
  CHECK(second.depth == 3);
  owner.submit();
  owner.submit();
  CHECK(owner.in_ring(first) == 1);
  CHECK(owner.in_ring(second) == 1);
  owner.submit();
  CHECK(owner.scheduler.ready() == 0);
  CHECK(owner.in_ring(first) + owner.in_ring(second) == 3);
}

TEST_CASE("placing: tiny tasks go to the hot worker while it has less than the pipeline") {
  Policy policy;
  policy.cores = 2;
  Owner owner(kCpus, policy);
  Worker& cold = owner.start();
  Worker& hot = owner.start();
  learn(owner, 10 * kUs);
  CHECK(hot.depth == 10);
  for (int i = 0; i < 10; ++i) owner.submit();
  CHECK(owner.in_ring(hot) == 10);
  CHECK(owner.in_ring(cold) == 0);
  owner.submit();  // a small backlog does not pay for waking the other one
  CHECK(owner.in_ring(cold) == 0);
  CHECK(owner.scheduler.ready() == 1);
}

TEST_CASE("placing: a backlog wakes the next worker, sooner when a core is free") {
  for (bool waits : {false, true}) {
    CAPTURE(waits);
    Policy policy;
    policy.cores = 2;
    Owner owner(kCpus, policy);
    Worker& cold = owner.start();
    owner.start();
    learn(owner, 10 * kUs);
    owner.scheduler.someone_waits(waits);
    size_t submitted = 0;
    while (owner.in_ring(cold) == 0 && submitted < 2000) {
      owner.submit();
      owner.dispatch();
      ++submitted;
    }
    // 10 in the hot ring, then more than 2, or 50, pipelines of 10 tasks each.
    const size_t expected = 10 + (waits ? 2 : 50) * 10;
    CHECK(submitted >= expected);
    CHECK(submitted <= expected + 2);
  }
}

TEST_CASE("placing: the depth of a ring follows the mean length of its worker's tasks") {
  for (Nanos length : {kUs / 2, kUs, 7 * kUs, 50 * kUs, 200 * kUs, 50 * kMs}) {
    CAPTURE(length);
    Owner owner(kUnit);
    Worker& worker = owner.start();
    learn(owner, length, nullptr, 80);
    const Nanos expected = std::clamp<Nanos>(100 * kUs / length, 1, 1024);
    CHECK(worker.depth == expected);
    for (int i = 0; i < 1100; ++i) owner.submit();
    // At most one more than fits waits behind a task that is short enough for that.
    const size_t prequeued = length < 10 * kMs ? 2 : 1;
    CHECK(owner.in_ring(worker) == std::max<size_t>(static_cast<size_t>(expected), prequeued));
  }
}

TEST_CASE("placing: a duration that cannot be does no harm") {
  for (Nanos duration : {INT64_MIN, Nanos{-1}, Nanos{0}, INT64_MAX}) {
    Owner owner(kUnit);
    Worker& worker = owner.start();
    for (int i = 0; i < 3; ++i) {
      owner.submit();
      owner.finish(worker, duration);
    }
    CHECK(worker.mean_ns > 0);
    CHECK(worker.depth >= 1);
  }
}

TEST_CASE("placing: when all CPUs are busy two tasks at most are with a worker") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  learn(owner, 200 * kUs);
  for (int i = 0; i < 5; ++i) owner.submit();
  CHECK(owner.in_ring(worker) == 2);
  CHECK(owner.scheduler.ready() == 3);
  owner.finish(worker, 200 * kUs);
  owner.dispatch();
  CHECK(owner.in_ring(worker) == 2);
}

TEST_CASE("placing: tasks leave their queue in order, and a retry goes first") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  std::vector<Task*> order;
  for (int i = 0; i < 5; ++i) order.push_back(owner.submit());
  Task* retried = order[0];
  CHECK(retried->worker == &worker);
  CHECK(owner.die(worker) == std::vector<Task*>{retried});
  owner.scheduler.resubmit(retried);
  owner.check();
  Worker& next = owner.start();
  for (Task* expected : order) {
    owner.dispatch();
    REQUIRE(owner.in_ring(next) >= 1);
    CHECK(Owner::process(next).ring.front().task == expected);
    owner.finish(next, 200 * kMs);
  }
}

TEST_CASE("placing: a task in the queue can be forgotten, from any place in it") {
  for (size_t gone = 0; gone < 3; ++gone) {
    CAPTURE(gone);
    Owner owner(kUnit);
    std::vector<Task*> order;
    for (int i = 0; i < 3; ++i) order.push_back(owner.submit());
    owner.scheduler.forget(order[gone]);
    order[gone]->state = TaskState::kWaiting;
    order.erase(order.begin() + static_cast<std::ptrdiff_t>(gone));
    owner.check();
    CHECK(owner.scheduler.ready() == 2);
    Worker& worker = owner.start();
    for (Task* expected : order) {
      owner.dispatch();
      CHECK(Owner::process(worker).ring.front().task == expected);
      owner.finish(worker, 200 * kMs);
    }
    CHECK(owner.scheduler.ledger().balanced());
  }
}

TEST_CASE("placing: all ready tasks can be taken, those that never could run stay") {
  Owner owner(kUnit);
  SchedulingClass* other = owner.define(1, {{"CPU", 0.5}});
  SchedulingClass* never = owner.define(2, {{"GPU", 1}});
  for (SchedulingClass* cls : {other, never}) owner.submit(cls);
  for (int i = 0; i < 3; ++i) owner.submit();
  auto taken = owner.scheduler.take_all_ready(owner.scheduler.home());
  CHECK(taken.size() == 4);
  CHECK(owner.scheduler.ready() == 0);
  size_t queued = 0;
  owner.scheduler.for_each_queued([&](Task* task) { queued += task->cls == never; });
  CHECK(queued == 1);
}

namespace {
// An owner that admits heavy tasks only while it is `open`.
struct Doorkeeper : Owner {
  using Owner::Owner;
  bool admits(Task& task) override {
    if (!open) held.push_back(&task);
    return open;
  }
  Task* submit_heavy() {
    Task* task = make();
    task->heavy = true;
    scheduler.submit(task, time);
    check();
    return task;
  }
  bool open = true;
  std::vector<Task*> held;
};
}  // namespace

TEST_CASE("placing: a heavy task that may not begin is its owner's, and in nobody's way") {
  Doorkeeper owner(kCpus);
  Worker& first = owner.start();
  Worker& second = owner.start();
  owner.open = false;
  Task* heavy = owner.submit_heavy();
  CHECK(owner.held == std::vector<Task*>{heavy});
  CHECK(heavy->state == TaskState::kWaiting);
  CHECK(owner.scheduler.ready() == 0);
  owner.submit();
  owner.submit();
  CHECK(owner.in_ring(first) + owner.in_ring(second) == 2);
  owner.open = true;
  owner.finish(first, kMs);
  owner.scheduler.submit(heavy, owner.time);
  CHECK(heavy->state == TaskState::kAssigned);
}

TEST_CASE("placing: a heavy task may be refused when its turn comes, too") {
  Doorkeeper owner(kCpus);
  Worker& worker = owner.start();
  Worker& other = owner.start();
  owner.submit();
  owner.submit();
  Task* heavy = owner.submit_heavy();
  Task* light = owner.submit();
  CHECK(heavy->state == TaskState::kReady);
  owner.open = false;
  owner.finish(worker, kMs);
  owner.dispatch();
  CHECK(owner.held == std::vector<Task*>{heavy});
  CHECK(heavy->state == TaskState::kWaiting);
  CHECK(light->state == TaskState::kAssigned);
  CHECK(owner.in_ring(other) == 1);
}

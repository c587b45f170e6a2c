// Workers that wait: they lend their CPU, and above a number of them run what they wait for.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

TEST_CASE("blocking: a blocked worker lends its CPU and takes it back at once") {
  Owner owner(kUnit);
  Worker& parent = owner.start();
  owner.submit();
  Task* child = owner.submit();
  CHECK(child->state == TaskState::kReady);
  owner.block(parent);
  CHECK(owner.free() == 1);
  CHECK(owner.scheduler.waiting_workers() == 1);
  owner.dispatch();
  CHECK(owner.starts == 1);
  Worker& other = owner.start();
  owner.dispatch();
  CHECK(child->worker == &other);
  owner.unblock(parent);
  CHECK(owner.free() == -1);  // for a moment more run than there are CPUs
  owner.submit();
  CHECK(owner.scheduler.ready() == 1);
  owner.finish(other, kMs);
  CHECK(owner.free() == 0);
  owner.finish(parent, kMs);
  CHECK(owner.scheduler.waiting_workers() == 0);
}

TEST_CASE("blocking: nothing is sent to a blocked worker, and what it hands back goes elsewhere") {
  Owner owner(2 * kUnit);
  Worker& parent = owner.start();
  learn(owner, 10 * kUs);
  owner.submit();
  Task* behind = owner.submit();
  CHECK(behind->worker == &parent);
  owner.block(parent);
  CHECK(owner.hand_back(parent) == behind);
  CHECK_FALSE(parent.hold);
  Worker& other = owner.start();
  owner.dispatch();
  CHECK(behind->worker == &other);
  Task* next = owner.submit();
  CHECK(next->worker != &parent);
}

TEST_CASE("blocking: only its CPU is lent, and fractions as they are") {
  Owner owner(kUnit);
  owner.set_total("GPU", 1);
  SchedulingClass* cls = owner.define(1, {{"CPU", 0.25}, {"GPU", 1}});
  Worker& worker = owner.start();
  owner.submit(cls);
  CHECK(owner.free() == 0.75);
  owner.block(worker);
  CHECK(owner.free() == 1);
  CHECK(owner.free("GPU") == 0);
  owner.unblock(worker);
  CHECK(owner.free() == 0.75);
  owner.finish(worker);
  CHECK(owner.scheduler.ledger().balanced());
}

TEST_CASE("blocking: notes of a worker that has no lease change nothing") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  owner.block(worker);
  CHECK(owner.scheduler.waiting_workers() == 0);
  owner.unblock(worker);
  CHECK(owner.free() == 1);
  owner.submit();
  owner.unblock(worker);  // without having been blocked
  CHECK(owner.free() == 0);
}

TEST_CASE("blocking: a worker that is blocked when its result comes ends its lease afterwards") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  owner.submit();
  owner.block(worker);
  owner.finish(worker);
  owner.unblock(worker);
  CHECK(worker.state == WorkerState::kIdle);
  CHECK(owner.scheduler.ledger().balanced());
}

namespace {

// `count` workers, each blocked in a task that waits for one that is ready.
struct Blocked {
  Blocked(uint32_t max_blocked, size_t count, bool can_inline = true)
      : owner(kUnit, policy(max_blocked)) {
    while (parents.size() < count) {
      Task* parent = owner.submit();
      while (parent->state != TaskState::kAssigned) {
        if (owner.starts > 0) owner.start();
        owner.dispatch(100 * kMs);
        REQUIRE(owner.time < 3600 * kSecond);
      }
      Task* child = owner.make();
      owner.block(*parent->worker, can_inline, {child});
      parents.push_back(parent);
      children.push_back(child);
    }
    starts_before = owner.starts;
  }
  static Policy policy(uint32_t max_blocked) {
    Policy policy;
    policy.max_blocked = max_blocked;
    return policy;
  }
  Owner owner;
  std::vector<Task*> parents;
  std::vector<Task*> children;
  int starts_before = 0;
};

}  // namespace

TEST_CASE("inlining: up to the limit workers are started for what blocked ones wait for") {
  Blocked some(4, 4);
  some.owner.scheduler.submit(some.children[0], some.owner.time);
  some.owner.check();
  CHECK(some.children[0]->state == TaskState::kReady);
  CHECK(some.owner.starts == 1);
}

TEST_CASE("inlining: above it the worker that waits for a task runs it itself") {
  Blocked some(4, 5);
  Task* child = some.children[2];
  some.owner.scheduler.submit(child, some.owner.time);
  some.owner.check();
  some.owner.dispatch();
  Worker& parent = *some.parents[2]->worker;
  CHECK(some.owner.starts == 0);
  CHECK(child->worker == &parent);
  CHECK(Owner::process(parent).ring.back().inlined);
  CHECK_FALSE(parent.waiting());
  CHECK(some.owner.free() == 0);  // it uses the CPU that it had lent
  CHECK(some.owner.scheduler.waiting_workers() == 4);
  // The inlined task blocks in turn, and goes on.
  some.owner.block(parent, false);
  CHECK(some.owner.free() == 1);
  some.owner.unblock(parent);
  some.owner.finish(parent);
  CHECK(parent.waiting());
  CHECK(parent.can_inline);
  CHECK(some.owner.free() == 1);
  some.owner.unblock(parent);
  some.owner.finish(parent);
  CHECK(parent.state == WorkerState::kIdle);
}

TEST_CASE("inlining: tasks in the queue that nobody waits for are passed over") {
  Blocked some(2, 3);
  Task* plain = some.owner.submit();
  CHECK(plain->state == TaskState::kReady);
  some.owner.scheduler.submit(some.children[1], some.owner.time);
  some.owner.dispatch();
  CHECK(plain->state == TaskState::kReady);
  CHECK(some.children[1]->worker == some.parents[1]->worker);
}

TEST_CASE("inlining: a worker that cannot inline gets another process, after a pause") {
  Blocked some(2, 3, false);
  const Nanos since = some.owner.time;
  some.owner.scheduler.submit(some.children[0], some.owner.time);
  while (some.owner.starts == 0 && some.owner.time < since + kSecond) {
    if (!some.owner.look()) break;
  }
  CHECK(some.owner.starts == 1);
  some.owner.start();
  some.owner.dispatch();
  CHECK(some.children[0]->state == TaskState::kAssigned);
}

TEST_CASE("inlining: a worker that handed an inlined task back is not asked again") {
  Blocked some(2, 3);
  Worker& parent = *some.parents[0]->worker;
  some.owner.scheduler.submit(some.children[0], some.owner.time);
  some.owner.dispatch();
  REQUIRE(some.children[0]->worker == &parent);
  CHECK(some.owner.hand_back(parent) == some.children[0]);
  CHECK_FALSE(parent.can_inline);
  CHECK(parent.waiting());
  some.owner.dispatch();
  CHECK(some.children[0]->worker != &parent);
}

TEST_CASE("inlining: an inlined task is no reason to keep a tiny one from another worker") {
  Blocked some(2, 3);
  learn(some.owner, 5 * kUs, some.owner.define(1, {{"CPU", 1}}), 0);
  some.owner.scheduler.submit(some.children[0], some.owner.time);
  some.owner.dispatch();
  REQUIRE(some.children[0]->worker == some.parents[0]->worker);
  some.owner.scheduler.default_class()->mean_ns = 5 * kUs;
  some.owner.block(*some.parents[0]->worker, false);  // lends the CPU again
  some.owner.start();
  some.owner.unblock(*some.parents[0]->worker);
  some.owner.scheduler.ledger().set_total(kCpu, 2 * kUnit);
  Task* tiny = some.owner.submit();
  CHECK(tiny->state == TaskState::kAssigned);
}

TEST_CASE("throttle: above the limit starts are one at a time, with growing pauses") {
  Blocked some(2, 9, false);
  for (Task* child : some.children) some.owner.scheduler.submit(child, some.owner.time);
  some.owner.check();
  Nanos last = 0;
  for (int i = 0; i < 3; ++i) {
    const Nanos since = some.owner.time;
    while (some.owner.starts == 0) {
      REQUIRE(some.owner.time < since + 60 * kSecond);
      REQUIRE(some.owner.look());
    }
    CHECK(some.owner.starts == 1);
    if (i > 0) CHECK(some.owner.time - last >= 10 * kMs);
    last = some.owner.time;
    Worker& fresh = some.owner.start();
    some.owner.dispatch();
    CHECK(some.owner.in_ring(fresh) == 1);
    some.owner.block(fresh, false);
  }
}

TEST_CASE("throttle: a start that is put off for a task without CPU is not forgotten") {
  Policy policy;
  policy.max_blocked = 1;
  Owner owner(kUnit, policy);
  SchedulingClass* none = owner.define(1, {});
  Worker& busy = owner.start();
  owner.submit();
  CHECK(owner.in_ring(busy) == 1);
  Task* last = nullptr;
  for (int i = 0; i < 4; ++i) {
    last = owner.submit(none);
    const Nanos since = owner.time;
    while (last->state != TaskState::kAssigned && owner.time < since + 10 * kSecond) {
      if (owner.starts > 0) {
        owner.start();
        owner.dispatch();
      } else if (!owner.look()) {
        break;
      }
    }
    REQUIRE(last->state == TaskState::kAssigned);
    owner.block(*last->worker, false);
  }
}

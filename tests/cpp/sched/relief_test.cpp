// Long tasks in front of short ones: what waits behind is taken back and goes elsewhere, soon.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

namespace {

// Two workers of which one has learnt that tasks are tiny.
struct Tiny {
  explicit Tiny(Nanos length = 10 * kUs) { learn(owner, length); }
  Owner owner{2 * kUnit};
  Worker& cold = owner.start();
  Worker& hot = owner.start();

  // wait_for looks as the node would until the task is with `worker`; how long that took.
  Nanos wait_for(Task* task, Worker& worker, Nanos most = kSecond) {
    const Nanos since = owner.time;
    while (!(task->state == TaskState::kAssigned && task->worker == &worker)) {
      if (owner.time - since > most || !owner.look()) return INT64_MAX;
    }
    return owner.time - since;
  }
};

}  // namespace

TEST_CASE("relief: what waits behind a long task goes to the idle worker within 5 ms") {
  Tiny tiny;
  Task* slow = tiny.owner.submit();
  CHECK(slow->worker == &tiny.hot);
  std::vector<Task*> behind;
  for (int i = 0; i < 6; ++i) behind.push_back(tiny.owner.submit());
  CHECK(tiny.owner.in_ring(tiny.hot) == 7);
  CHECK(tiny.wait_for(behind[0], tiny.cold) <= 5 * kMs);
  CHECK(tiny.owner.in_ring(tiny.hot) == 1);
  CHECK(tiny.hot.depth == 0);
  for (Task* expected : behind) {
    tiny.owner.dispatch();
    REQUIRE(tiny.owner.in_ring(tiny.cold) > 0);
    CHECK(Owner::process(tiny.cold).ring.front().task == expected);
    tiny.owner.finish(tiny.cold);
  }
  CHECK(tiny.owner.in_ring(tiny.hot) == 1);
}

TEST_CASE("relief: tasks that come while one runs for long are not held up either") {
  Tiny tiny;
  Task* slow = tiny.owner.submit();
  for (int i = 0; i < 30; ++i) {
    CAPTURE(i);
    Task* task = tiny.owner.submit();
    CHECK(tiny.wait_for(task, tiny.cold) <= 5 * kMs);
    tiny.owner.time += 10 * kUs;
    tiny.owner.finish(tiny.cold, 10 * kUs);
    tiny.owner.dispatch();
  }
  CHECK(slow->state == TaskState::kAssigned);
}

TEST_CASE("relief: a full ring with more ready behind it is relieved as well") {
  Tiny tiny;
  for (uint32_t i = 0; i < tiny.hot.depth; ++i) tiny.owner.submit();
  Task* more = tiny.owner.submit();
  CHECK(more->state == TaskState::kReady);
  const Nanos since = tiny.owner.time;
  while (more->state == TaskState::kReady && tiny.owner.look()) {
    while (tiny.owner.in_ring(tiny.cold) > 0) tiny.owner.finish(tiny.cold);
  }
  CHECK(more->state == TaskState::kAssigned);
  CHECK(tiny.owner.time - since <= 5 * kMs);
  CHECK(tiny.owner.in_ring(tiny.hot) == 1);
}

TEST_CASE("relief: many looks in a moment do not put the next one off") {
  Tiny tiny;
  tiny.owner.submit();
  Task* behind = tiny.owner.submit();
  for (int i = 0; i < 50; ++i) tiny.owner.dispatch(kUs);
  CHECK(tiny.wait_for(behind, tiny.cold) <= 5 * kMs);
}

TEST_CASE("relief: a burst after a pause is not taken for a worker that is stuck") {
  Tiny tiny;
  // The time of a submission may be that of the last look, long ago.
  const Nanos stale = tiny.owner.time;
  for (int i = 0; i < 8; ++i) tiny.owner.scheduler.submit(tiny.owner.make(), stale);
  tiny.owner.dispatch(3 * kSecond);
  CHECK(tiny.owner.in_ring(tiny.hot) == 8);
  CHECK(tiny.hot.depth > 1);
  CHECK(tiny.owner.scheduler.default_class()->mean_ns < 20 * kUs);
}

TEST_CASE("relief: a worker that gets on is left alone") {
  Tiny tiny;
  for (int i = 0; i < 10; ++i) tiny.owner.submit();
  for (int i = 0; i < 20; ++i) {
    tiny.owner.time += 900 * kUs;
    tiny.owner.finish(tiny.hot, 10 * kUs);
    tiny.owner.submit();
    tiny.owner.dispatch();
    CHECK(tiny.owner.in_ring(tiny.cold) == 0);
  }
}

TEST_CASE("relief: tasks that are not tiny move to a worker as soon as it is idle") {
  Owner owner(2 * kUnit);
  Worker& first = owner.start();
  Worker& second = owner.start();
  learn(owner, 300 * kUs);
  for (int i = 0; i < 4; ++i) owner.submit();
  CHECK(owner.in_ring(first) + owner.in_ring(second) >= 2);
  Worker& slow = owner.in_ring(first) > 0 ? first : second;
  Worker& quick = &slow == &first ? second : first;
  while (owner.in_ring(quick) > 0) {
    owner.finish(quick, 300 * kUs);
    owner.dispatch();
  }
  CHECK(owner.in_ring(slow) == 1);
}

TEST_CASE("relief: without a free CPU nothing is moved") {
  Owner owner(kUnit);
  Worker& worker = owner.start();
  learn(owner, 10 * kUs);
  for (int i = 0; i < 5; ++i) owner.submit();
  owner.dispatch(10 * kMs);
  CHECK(owner.in_ring(worker) == 5);
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
}

TEST_CASE("relief: when no worker is idle one is started for what was taken back") {
  Owner owner(2 * kUnit);
  Worker& worker = owner.start();
  learn(owner, 10 * kUs);
  owner.submit();
  Task* behind = owner.submit();
  owner.dispatch(kMs);
  owner.dispatch(2 * kMs);
  CHECK(behind->state == TaskState::kReady);
  CHECK(owner.starts == 1);
  Worker& other = owner.start();
  owner.dispatch();
  CHECK(behind->worker == &other);
  CHECK(owner.in_ring(worker) == 1);
}

TEST_CASE("relief: tasks without CPU are relieved although all CPUs are busy") {
  Owner owner(kUnit);
  SchedulingClass* none = owner.define(1, {});
  Worker& zero = owner.start();
  learn(owner, 10 * kUs, none);
  owner.submit(none);
  Task* behind = owner.submit(none);
  CHECK(behind->worker == &zero);
  Worker& busy = owner.start();
  owner.submit();
  CHECK(owner.in_ring(busy) == 1);
  CHECK(owner.free() == 0);
  const Nanos since = owner.time;
  while (behind->state == TaskState::kAssigned && owner.time < since + kSecond) {
    if (!owner.look()) break;
  }
  CHECK(behind->state == TaskState::kReady);
  CHECK(owner.starts == 1);
}

TEST_CASE("relief: a worker that did not even begin gets work again after all others") {
  Tiny tiny;
  Owner::process(tiny.hot).claimed = 0;  // its process is stopped, say
  Task* first = tiny.owner.submit();
  tiny.owner.submit();
  const Nanos since = tiny.owner.time;
  while (first->worker == &tiny.hot && tiny.owner.time - since < 20 * kMs) {
    if (!tiny.owner.look()) break;
  }
  CHECK(first->worker == &tiny.cold);
}

TEST_CASE("relief: after a hand-back a worker gets nothing before its next result") {
  Tiny tiny;
  tiny.owner.submit();
  Task* behind = tiny.owner.submit();
  CHECK(tiny.owner.hand_back(tiny.hot) == behind);
  CHECK(tiny.hot.hold);
  tiny.owner.dispatch();
  CHECK(behind->worker == &tiny.cold);
  CHECK(tiny.owner.in_ring(tiny.hot) == 1);
  tiny.owner.finish(tiny.hot);
  CHECK_FALSE(tiny.hot.hold);
}

TEST_CASE("relief: a worker that hands back its only task is idle again") {
  Tiny tiny;
  Task* task = tiny.owner.submit();
  CHECK(tiny.owner.hand_back(*task->worker) == task);
  CHECK(task->state == TaskState::kReady);
  CHECK(tiny.owner.scheduler.idle() == 2);
  CHECK_FALSE(tiny.hot.hold);
  CHECK(tiny.owner.scheduler.ledger().balanced());
  tiny.owner.dispatch();
  CHECK(task->state == TaskState::kAssigned);
}

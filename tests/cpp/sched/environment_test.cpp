// Environments: tasks wait until theirs is open, and run only on workers that began with it.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

namespace {

struct Away {
  Owner owner;
  Environment& environment = owner.scheduler.define_environment(7);
  SchedulingClass* cls;

  explicit Away(Amount cpus, const Owner::Quantities& need = {{"CPU", 1}}) : owner(cpus) {
    cls = owner.define(1, need);
    Scheduler::belongs(*cls, environment);
  }
  void open() {
    owner.scheduler.open(environment);
    owner.check();
    owner.dispatch();
  }
  // worker_ready there: one that was not asked for.
  Worker& start() {
    owner.scheduler.worker_starting(environment);
    owner.asked.push_front(&environment);
    ++owner.starts;
    return owner.start();
  }
};

}  // namespace

TEST_CASE("environment: its owner is asked once, and tasks count when it is open") {
  Away away(2 * kUnit);
  Task* first = away.owner.submit(away.cls);
  Task* second = away.owner.submit(away.cls);
  CHECK(away.owner.to_set_up == std::vector{&away.environment});
  CHECK(away.owner.starts == 0);
  CHECK(away.owner.scheduler.ready() == 0);
  away.open();
  CHECK(away.owner.scheduler.ready() == 2);
  CHECK(away.owner.starts == 1);
  away.owner.start();
  away.owner.dispatch();
  CHECK(away.owner.starts == 1);  // for the second task
  away.owner.start();
  away.owner.dispatch();
  CHECK(first->state == TaskState::kAssigned);
  CHECK(second->state == TaskState::kAssigned);
  CHECK(first->worker->environment == &away.environment);
}

TEST_CASE("environment: what waits for one holds nobody back, however long") {
  Away away(kUnit);
  Worker& home = away.owner.start();
  Task* blocker = away.owner.submit();
  away.owner.submit(away.cls);  // it would starve if it counted
  away.owner.dispatch(kSecond);
  away.owner.finish(home);
  Task* next = away.owner.submit();
  CHECK(next->worker == &home);
  CHECK(blocker->worker == &home);
  CHECK_FALSE(away.owner.scheduler.next_look(away.owner.time).has_value());
}

TEST_CASE("environment: an idle worker of another one is no help") {
  Away away(2 * kUnit);
  Worker& home = away.owner.start();
  away.open();
  Task* task = away.owner.submit(away.cls);
  CHECK(task->state == TaskState::kReady);
  CHECK(away.owner.starts == 1);
  Worker& there = away.owner.start();
  CHECK(there.environment == &away.environment);
  away.owner.dispatch();
  CHECK(task->worker == &there);
  Task* plain = away.owner.submit();
  CHECK(plain->worker == &home);
  away.owner.finish(there);
  Task* again = away.owner.submit(away.cls);
  CHECK(again->worker == &there);
}

TEST_CASE("environment: a worker that starts elsewhere is not counted on") {
  Away away(2 * kUnit);
  away.open();
  away.owner.submit(away.cls);
  CHECK(away.owner.starts == 1);
  away.owner.submit();
  CHECK(away.owner.starts == 2);
  CHECK(away.environment.starting == 1);
  CHECK(away.owner.scheduler.home().starting == 1);
  away.owner.dispatch(kMs);
  CHECK(away.owner.starts == 2);
}

TEST_CASE("environment: one that cannot be made gives its tasks back and is asked for again") {
  Away away(kUnit);
  SchedulingClass* wide = away.owner.define_dedicated(2, {{"CPU", 1}}, {});
  Scheduler::belongs(*wide, away.environment);
  Task* first = away.owner.submit(away.cls);
  Task* second = away.owner.submit(wide);
  Task* plain = away.owner.submit();
  CHECK(away.owner.scheduler.close(away.environment) == std::vector{first, second});
  away.owner.check();
  CHECK(plain->state == TaskState::kReady);
  Task* third = away.owner.submit(away.cls);
  CHECK(away.owner.to_set_up.size() == 2);
  away.owner.scheduler.forget(third);
  away.owner.check();
  away.open();
  CHECK(away.owner.scheduler.ready() == 1);  // the plain one
}

TEST_CASE("environment: what can never run on this node is told when it is open, and does not count") {
  Away away(kUnit, {{"CPU", 3}});
  away.owner.submit(away.cls);
  CHECK(away.owner.warned.empty());
  away.open();
  CHECK(away.owner.warned == std::vector{away.cls});
  CHECK(away.owner.scheduler.ready() == 0);
  CHECK(away.owner.starts == 0);
}

TEST_CASE("environment: a constructor takes a worker of its own one") {
  Away away(2 * kUnit);
  SchedulingClass* actor = away.owner.define_dedicated(2, {{"CPU", 1}}, {});
  Scheduler::belongs(*actor, away.environment);
  away.owner.start();
  away.open();
  Task* task = away.owner.submit(actor);
  CHECK(task->state == TaskState::kReady);
  Worker& there = away.owner.start();
  away.owner.dispatch();
  CHECK(task->worker == &there);
  CHECK(away.environment.alive == 0);
  CHECK(away.owner.scheduler.idle() == 1);
}

TEST_CASE("environment: its idle workers are kept for ten seconds, and no more than there are CPUs") {
  Away away(2 * kUnit);
  away.open();
  for (int i = 0; i < 3; ++i) away.start();
  CHECK(away.owner.scheduler.idle() == 3);
  CHECK(away.owner.look());
  CHECK(away.owner.retired.size() == 1);
  CHECK(away.owner.time < 3 * kSecond);
  CHECK(away.owner.look());
  CHECK(away.owner.retired.size() == 3);
  CHECK(away.owner.scheduler.idle() == 0);
  CHECK_FALSE(away.owner.look());
}

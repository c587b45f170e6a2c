// Dedicated classes: a constructor takes a worker out of the pool, and what it keeps.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

TEST_CASE("dedicated: a constructor takes one CPU to be placed and keeps none") {
  Owner owner(kUnit);
  SchedulingClass* actor = owner.define_dedicated(1, {{"CPU", 1}}, {});
  Task* task = owner.submit(actor);
  CHECK(owner.starts == 1);
  Worker& worker = owner.start();
  owner.dispatch();
  CHECK(task->state == TaskState::kAssigned);
  CHECK(worker.state == WorkerState::kDedicated);
  CHECK(owner.free() == 0);
  owner.settle(worker);
  CHECK(owner.free() == 1);
  CHECK(owner.scheduler.dedicated() == 1);
  CHECK(owner.scheduler.alive() == 0);
}

TEST_CASE("dedicated: what it keeps is held until its worker is gone") {
  Owner owner(2 * kUnit);
  owner.set_total("GPU", 1);
  const Owner::Quantities need{{"CPU", 1}, {"GPU", 1}};
  SchedulingClass* actor = owner.define_dedicated(1, need, need);
  owner.submit(actor);
  Worker& worker = owner.start();
  owner.dispatch();
  owner.settle(worker);
  CHECK(owner.free() == 1);
  CHECK(owner.free("GPU") == 0);
  CHECK(owner.die(worker).empty());
  CHECK(owner.free() == 2);
  CHECK(owner.free("GPU") == 1);
}

TEST_CASE("dedicated: a worker that dies in the constructor gives everything back") {
  Owner owner(kUnit);
  SchedulingClass* actor = owner.define_dedicated(1, {{"CPU", 1}}, {});
  Task* task = owner.submit(actor);
  Worker& worker = owner.start();
  owner.dispatch();
  const std::vector<Task*> begun = owner.die(worker);
  REQUIRE(begun == std::vector{task});
  CHECK(owner.free() == 1);
  owner.scheduler.resubmit(task);
  owner.dispatch();
  CHECK(owner.starts == 1);
  Worker& second = owner.start();
  owner.dispatch();
  CHECK(task->worker == &second);
}

TEST_CASE("dedicated: its worker is never given another task") {
  Owner owner(2 * kUnit);
  SchedulingClass* actor = owner.define_dedicated(1, {{"CPU", 1}}, {});
  Worker& worker = owner.start();
  owner.submit(actor);
  REQUIRE(worker.state == WorkerState::kDedicated);
  Task* plain = owner.submit();
  Task* second = owner.submit(actor);
  owner.dispatch();
  CHECK(plain->state == TaskState::kReady);
  CHECK(second->state == TaskState::kReady);
  owner.settle(worker);
  owner.dispatch(10 * kMs);
  CHECK(plain->state == TaskState::kReady);
  CHECK(owner.in_ring(worker) == 0);
  Worker& other = owner.start();
  owner.dispatch();
  CHECK((plain->worker == &other) != (second->worker == &other));
}

TEST_CASE("dedicated: the worker used last is left for tasks") {
  Owner owner(2 * kUnit);
  SchedulingClass* actor = owner.define_dedicated(1, {}, {});
  Worker& cold = owner.start();
  Worker& hot = owner.start();
  learn(owner, 10 * kUs);
  REQUIRE(hot.completed > 0);
  Task* task = owner.submit(actor);
  CHECK(task->worker == &cold);
}

TEST_CASE("dedicated: many without CPUs are started, since they do not count as workers of tasks") {
  Policy policy;
  policy.max_zero_cpu = 4;
  Owner owner(kUnit, policy);
  SchedulingClass* actor = owner.define_dedicated(1, {}, {});
  for (int i = 0; i < 100; ++i) {
    owner.submit(actor);
    if (owner.starts == 0) owner.dispatch();
    REQUIRE(owner.starts > 0);
    owner.start();
    owner.dispatch();
    for (auto& worker : owner.workers) {
      if (worker->constructor != nullptr) owner.settle(*worker);
    }
  }
  CHECK(owner.scheduler.dedicated() == 100);
  CHECK(owner.scheduler.ready() == 0);
}

TEST_CASE("dedicated: no class waits first in line for what an actor keeps for good") {
  Owner owner(2 * kUnit);
  owner.set_total("GPU", 1);
  const Owner::Quantities gpu{{"GPU", 1}};
  SchedulingClass* actor = owner.define_dedicated(1, gpu, gpu);
  SchedulingClass* task = owner.define(2, gpu);
  owner.submit(actor);
  owner.start();
  owner.dispatch();
  owner.settle(*owner.workers.front());
  owner.submit(task);
  owner.dispatch(100 * kMs);
  // Were the GPU's class reserved for, nothing else would be placed.
  owner.start();
  Task* plain = owner.submit();
  CHECK(plain->state == TaskState::kAssigned);
}

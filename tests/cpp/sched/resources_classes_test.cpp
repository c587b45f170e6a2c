// Tasks that need other things than one CPU: fractions, several, none, custom resources, what the
// node has not, and classes that find no room.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

TEST_CASE("classes: a class is found by its key") {
  Owner owner(kUnit);
  SchedulingClass* cls = owner.define(5, {{"CPU", 0.5}, {"GPU", 2}});
  CHECK(owner.scheduler.cls(5) == cls);
  CHECK(owner.scheduler.cls(6) == nullptr);
  CHECK(owner.scheduler.cls(kDefaultClass) == owner.scheduler.default_class());
  CHECK(cls->cpu == kUnit / 2);
  CHECK(owner.scheduler.policy().pipeline == 100 * kUs);
}

TEST_CASE("classes: fractions of a CPU share it") {
  Owner owner(kUnit);
  SchedulingClass* half = owner.define(1, {{"CPU", 0.5}});
  for (int i = 0; i < 4; ++i) owner.submit(half);
  CHECK(owner.starts == 2);
  Worker& first = owner.start();
  Worker& second = owner.start();
  owner.dispatch();
  CHECK(owner.in_ring(first) == 1);
  CHECK(owner.in_ring(second) == 1);
  CHECK(owner.free() == 0);
  CHECK(owner.scheduler.ready() == 2);
  owner.finish(first, 100 * kMs);
  owner.dispatch();
  CHECK(owner.scheduler.ready() == 1);
}

TEST_CASE("classes: a task that needs two CPUs waits until both are free") {
  Owner owner(2 * kUnit);
  SchedulingClass* wide = owner.define(1, {{"CPU", 2}});
  Worker& first = owner.start();
  Worker& second = owner.start();
  owner.submit();
  owner.submit();
  Task* task = owner.submit(wide);
  CHECK(task->state == TaskState::kReady);
  owner.finish(first, kMs);
  owner.dispatch();
  CHECK(task->state == TaskState::kReady);
  owner.finish(second, kMs);
  owner.dispatch();
  CHECK(task->state == TaskState::kAssigned);
  CHECK(owner.free() == 0);
}

TEST_CASE("classes: custom resources bound how many run at a time, CPUs apart") {
  Owner owner(4 * kUnit);
  owner.set_total("disk", 2);
  SchedulingClass* disk = owner.define(1, {{"CPU", 0.1}, {"disk", 1}});
  for (int i = 0; i < 4; ++i) owner.start();
  for (int i = 0; i < 4; ++i) owner.submit(disk);
  CHECK(owner.scheduler.ready() == 2);
  CHECK(owner.free("disk") == 0);
  CHECK(owner.free() == doctest::Approx(3.8));
  Task* plain = owner.submit();
  CHECK(plain->state == TaskState::kAssigned);
}

TEST_CASE("classes: tasks without CPU run beside busy CPUs, up to a number of workers") {
  Policy policy;
  policy.max_zero_cpu = 3;
  Owner owner(kUnit, policy);
  SchedulingClass* none = owner.define(1, {});
  owner.submit();
  owner.start();
  owner.dispatch();
  CHECK(owner.free() == 0);
  for (int i = 0; i < 6; ++i) owner.submit(none);
  CHECK(owner.starts == 2);  // with the busy one three
  owner.start();
  owner.start();
  owner.dispatch();
  CHECK(owner.scheduler.ready() == 4);
  CHECK(owner.free() == 0);
}

TEST_CASE("classes: what the node never can run is told of once and holds nothing up") {
  Owner owner(kUnit);
  SchedulingClass* gpu = owner.define(1, {{"CPU", 1}, {"GPU", 1}});
  SchedulingClass* huge = owner.define(2, {{"CPU", 3}});
  for (int i = 0; i < 3; ++i) owner.submit(gpu);
  owner.submit(huge);
  CHECK(owner.warned == std::vector<SchedulingClass*>{gpu, huge});
  CHECK(owner.starts == 0);
  CHECK(owner.scheduler.ready() == 0);
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
  Worker& worker = owner.start();
  Task* task = owner.submit();
  CHECK(task->worker == &worker);
  owner.dispatch(100 * kMs);
  owner.finish(worker);
  Task* again = owner.submit(gpu);
  CHECK(owner.warned.size() == 2);
  owner.scheduler.forget(again);
  owner.check();
}

// ---- who waits too long goes next

namespace {

// A node of two CPUs that default tasks keep busy: each that ends is followed by another.
struct Busy {
  Owner owner{2 * kUnit};
  Worker& first = owner.start();
  Worker& second = owner.start();
  explicit Busy(Nanos length_) : length(length_) {
    for (int i = 0; i < 8; ++i) owner.submit();
  }
  // round lets one task of each worker end and two others come.
  void round() {
    for (Worker* worker : {&first, &second}) {
      owner.time += length / 2;
      if (owner.in_ring(*worker) != 0 && worker->cls == owner.scheduler.default_class()) {
        owner.finish(*worker, length);
      }
      owner.submit();
      owner.dispatch();
    }
  }
  Nanos length;
};

}  // namespace

TEST_CASE("starving: a class that finds no room for 50 ms gets the next, whoever else is ready") {
  for (Nanos length : {20 * kUs, kMs, 20 * kMs}) {
    CAPTURE(length);
    Busy busy(length);
    SchedulingClass* wide = busy.owner.define(1, {{"CPU", 2}});
    busy.round();
    Task* task = busy.owner.submit(wide);
    const Nanos since = busy.owner.time;
    while (task->state != TaskState::kAssigned && busy.owner.time < since + 10 * kSecond) {
      busy.round();
    }
    CHECK(task->state == TaskState::kAssigned);
    // The bound, and what was in the rings then.
    CHECK(busy.owner.time - since < 50 * kMs + 6 * length + kMs);
    CHECK(busy.owner.time - since >= 50 * kMs);
    // The others go on afterwards.
    busy.owner.finish(*task->worker, kMs);
    busy.owner.dispatch();
    CHECK(busy.owner.in_ring(busy.first) + busy.owner.in_ring(busy.second) >= 2);
  }
}

TEST_CASE("starving: the class that has waited longest goes first") {
  Busy busy(kMs);
  SchedulingClass* wide = busy.owner.define(1, {{"CPU", 2}});
  SchedulingClass* wider = busy.owner.define(2, {{"CPU", 1.5}});
  Task* first = busy.owner.submit(wide);
  busy.owner.time += kMs;
  Task* second = busy.owner.submit(wider);
  while (first->state == TaskState::kReady && second->state == TaskState::kReady) busy.round();
  CHECK(first->state == TaskState::kAssigned);
  busy.owner.finish(*first->worker, kMs);
  busy.owner.dispatch();
  CHECK(second->state == TaskState::kAssigned);
}

TEST_CASE("starving: a class whose only worker is blocked starves too") {
  Busy busy(kMs);
  SchedulingClass* wide = busy.owner.define(1, {{"CPU", 2}});
  Task* parent = busy.owner.submit(wide);
  while (parent->state != TaskState::kAssigned) busy.round();
  busy.owner.block(*parent->worker, false);
  const auto others_go_on = [&] {
    if (busy.owner.starts > 0) busy.owner.start();
    busy.owner.dispatch();
    for (size_t i = 0; i < busy.owner.workers.size(); ++i) {
      Owner::Process& worker = *busy.owner.workers[i];
      busy.owner.time += kMs / 2;
      const bool plain = worker.cls == busy.owner.scheduler.default_class();
      if (plain && !worker.ring.empty()) busy.owner.finish(worker, kMs);
      busy.owner.submit();
      busy.owner.dispatch();
    }
  };
  for (int i = 0; i < 10; ++i) others_go_on();
  Task* child = busy.owner.submit(wide);
  CHECK(child->state == TaskState::kReady);
  for (int i = 0; i < 200 && child->state != TaskState::kAssigned; ++i) others_go_on();
  CHECK(child->state == TaskState::kAssigned);
}

TEST_CASE("starving: nobody is held up for what only a blocked worker can give back") {
  Owner owner(2 * kUnit);
  owner.set_total("GPU", 1);
  SchedulingClass* gpu = owner.define(1, {{"CPU", 1}, {"GPU", 1}});
  SchedulingClass* other_gpu = owner.define(2, {{"CPU", 0.5}, {"GPU", 1}});
  Worker& first = owner.start();
  Task* parent = owner.submit(gpu);
  CHECK(parent->worker == &first);
  owner.submit(other_gpu);  // waits for the GPU
  owner.dispatch(60 * kMs);
  Task* child = owner.make();
  owner.block(first, true, {child});  // keeps its GPU until the child is done
  owner.scheduler.submit(child, owner.time);
  owner.dispatch(60 * kMs);
  if (owner.starts > 0) owner.start();
  owner.dispatch(60 * kMs);
  CHECK(child->state == TaskState::kAssigned);
}

TEST_CASE("a lease is announced for a limit of memory, else only when that was asked for") {
  Owner owner(2 * kUnit);
  owner.set_total("memory", 1000);
  SchedulingClass* limited = owner.define(1, {{"CPU", 1}, {"memory", 600}});
  CHECK(limited->memory == 600);
  CHECK(owner.scheduler.default_class()->memory == 0);
  owner.start();
  owner.start();
  owner.submit();
  CHECK(owner.announced.size() == 1);  // the first of all
  owner.submit();
  CHECK(owner.announced.size() == 1);
  for (auto& worker : owner.workers) owner.finish(*worker, kMs);
  owner.submit(limited);
  CHECK(owner.announced.size() == 2);
  owner.scheduler.announce_lease();
  owner.submit();
  CHECK(owner.announced.size() == 3);
}

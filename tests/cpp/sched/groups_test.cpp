// Placement groups: when they get their room, what runs in it, and how it comes back.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

namespace {

using Bundles = std::vector<Owner::Quantities>;

Group* add(Owner& owner, const Bundles& bundles, bool possible = true) {
  std::vector<Need> needs;
  for (const auto& bundle : bundles) needs.push_back(owner.need_of(bundle));
  Group* group = owner.scheduler.add_group(needs, possible);
  owner.check();
  return group;
}

SchedulingClass* in(Owner& owner, Group* group, uint64_t key, const Owner::Quantities& need,
                    int32_t bundle = kAnyBundle) {
  SchedulingClass* cls = owner.define(key, need);
  owner.scheduler.join(cls, group, bundle);
  return cls;
}

}  // namespace

TEST_CASE("groups: a group takes the room of all its bundles, and gives it back when it is removed") {
  Owner owner(3 * kUnit);
  Group* group = add(owner, {{{"CPU", 1}}, {{"CPU", 1}}});
  CHECK(owner.free() == 3);
  owner.dispatch();
  CHECK(group->state == GroupState::kPlaced);
  CHECK(owner.free() == 1);
  owner.scheduler.remove_group(group);
  owner.check();
  CHECK(owner.free() == 3);
}

TEST_CASE("groups: a group waits until all its bundles fit, and its tasks with it") {
  Owner owner(2 * kUnit);
  Worker& first = owner.start();
  owner.submit();
  Group* group = add(owner, {{{"CPU", 1}}, {{"CPU", 1}}});
  owner.dispatch();
  CHECK(group->state == GroupState::kWaiting);
  Task* task = owner.submit(in(owner, group, 1, {{"CPU", 1}}));
  CHECK(task->state == TaskState::kReady);
  owner.finish(first);
  owner.dispatch();
  CHECK(group->state == GroupState::kPlaced);
  CHECK(task->state == TaskState::kAssigned);
  owner.finish(first);
  CHECK(owner.free() == 0);
}

TEST_CASE("groups: plain tasks find no room in a group, and its tasks none outside of it") {
  Owner owner(2 * kUnit);
  Group* group = add(owner, {{{"CPU", 1}}});
  owner.dispatch();
  SchedulingClass* cls = in(owner, group, 1, {{"CPU", 1}});
  owner.start();
  owner.start();
  owner.start();
  CHECK(owner.submit()->state == TaskState::kAssigned);
  CHECK(owner.submit()->state == TaskState::kReady);
  CHECK(owner.submit(cls)->state == TaskState::kAssigned);
  CHECK(owner.submit(cls)->state == TaskState::kReady);
}

TEST_CASE("groups: a task runs in its bundle, or in any that has room") {
  Owner owner(4 * kUnit);
  Group* group = add(owner, {{{"CPU", 1}}, {{"CPU", 2}}});
  owner.dispatch();
  SchedulingClass* first = in(owner, group, 1, {{"CPU", 1}}, 0);
  SchedulingClass* any = in(owner, group, 2, {{"CPU", 1}});
  for (int i = 0; i < 4; ++i) owner.start();
  Task* in_first = owner.submit(first);
  CHECK(in_first->worker->room == &group->bundles[0].room);
  CHECK(owner.submit(first)->state == TaskState::kReady);
  CHECK(owner.submit(any)->worker->room == &group->bundles[1].room);
  CHECK(owner.submit(any)->worker->room == &group->bundles[1].room);
  CHECK(owner.submit(any)->state == TaskState::kReady);
  CHECK(owner.free() == 1);
}

TEST_CASE("groups: what no bundle has can never run") {
  Owner owner(4 * kUnit);
  Group* group = add(owner, {{{"CPU", 1}}, {{"CPU", 2}}});
  CHECK(owner.scheduler.feasible(*in(owner, group, 1, {{"CPU", 2}})));
  CHECK_FALSE(owner.scheduler.feasible(*in(owner, group, 2, {{"CPU", 2}}, 0)));
  SchedulingClass* too_much = in(owner, group, 3, {{"CPU", 3}});
  owner.submit(too_much);
  CHECK(owner.warned == std::vector{too_much});
}

TEST_CASE("groups: one that this node never has room for is impossible, and waits for nothing") {
  Owner owner(2 * kUnit);
  owner.set_total("GPU", 2);
  CHECK(add(owner, {{{"CPU", 2}}, {{"CPU", 1}}})->state == GroupState::kImpossible);
  CHECK(add(owner, {{{"CPU", 1}}, {{"CPU", 1}}}, false)->state == GroupState::kImpossible);
  // 1.8 GPUs there are, but not as three parts of single ones.
  const Owner::Quantities part{{"GPU", 0.6}};
  Group* parts = add(owner, {part, part, part});
  CHECK(parts->state == GroupState::kImpossible);
  owner.dispatch();
  CHECK_FALSE(owner.look());
  owner.scheduler.remove_group(parts);
  owner.check();
  CHECK(owner.scheduler.ledger().balanced());
}

TEST_CASE("groups: a task has the GPUs of its bundle") {
  Owner owner(kUnit);
  owner.set_total("GPU", 3);
  const Owner::Quantities gpu{{"GPU", 1}};
  Group* group = add(owner, {gpu, gpu});
  owner.dispatch();
  const Shares second = group->bundles[1].devices;
  owner.start();
  Task* task = owner.submit(in(owner, group, 1, gpu, 1));
  CHECK(task->worker->devices == second);
  Worker& worker = *task->worker;
  owner.finish(worker);
  CHECK(owner.submit(owner.define(2, gpu))->worker->devices == Shares{{2, kUnit}});
}

TEST_CASE("groups: a blocked task lends the CPU of its bundle to the tasks of its group") {
  Owner owner(kUnit);
  Group* group = add(owner, {{{"CPU", 1}}});
  owner.dispatch();
  SchedulingClass* cls = in(owner, group, 1, {{"CPU", 1}});
  owner.start();
  owner.start();
  Task* outer = owner.submit(cls);
  Task* inner = owner.submit(cls);
  CHECK(inner->state == TaskState::kReady);
  owner.block(*outer->worker);
  owner.dispatch();
  CHECK(inner->state == TaskState::kAssigned);
  CHECK(owner.free() == 0);
}

TEST_CASE("groups: a worker is started for a task in a group though the node has no CPU left") {
  Owner owner(kUnit);
  Group* group = add(owner, {{{"CPU", 1}}});
  owner.dispatch();
  owner.submit(in(owner, group, 1, {{"CPU", 1}}));
  CHECK(owner.starts == 1);
}

TEST_CASE("groups: a removed group keeps its room until its last worker has left") {
  Owner owner(2 * kUnit);
  Group* group = add(owner, {{{"CPU", 2}}});
  owner.dispatch();
  SchedulingClass* cls = in(owner, group, 1, {{"CPU", 1}});
  Worker& first = owner.start();
  Worker& second = owner.start();
  Task* lost = owner.submit(cls);
  owner.submit(cls);
  Task* queued = owner.submit(cls);
  owner.scheduler.forget(queued);
  owner.scheduler.remove_group(group);
  owner.check();
  CHECK(owner.free() == 0);
  CHECK(owner.scheduler.cls(1) == nullptr);
  Worker& dying = *lost->worker;
  CHECK(owner.die(dying) == std::vector{lost});
  CHECK(owner.free() == 0);
  // This one was killed as well, but its result came before it was gone.
  Worker& other = &dying == &first ? second : first;
  owner.finish(other);
  CHECK(owner.free() == 2);
  CHECK(other.state == WorkerState::kGone);
  CHECK(owner.scheduler.idle() == 0);
}

TEST_CASE("groups: an actor in a group holds what it keeps of the bundle") {
  Owner owner(2 * kUnit);
  Group* group = add(owner, {{{"CPU", 1}}});
  owner.dispatch();
  SchedulingClass* actor = owner.define_dedicated(1, {{"CPU", 1}}, {});
  owner.scheduler.join(actor, group, 0);
  SchedulingClass* holder = owner.define_dedicated(2, {{"CPU", 1}}, {{"CPU", 1}});
  owner.scheduler.join(holder, group, 0);
  Worker& first = owner.start();
  owner.submit(actor);
  CHECK(group->bundles[0].room.free(kCpu) == 0);
  owner.settle(first);
  CHECK(group->bundles[0].room.free(kCpu) == kUnit);
  Worker& second = owner.start();
  owner.submit(holder);
  owner.settle(second);
  CHECK(group->bundles[0].room.free(kCpu) == 0);
  CHECK(owner.free() == 1);
  CHECK(owner.die(second).empty());
  CHECK(group->bundles[0].room.free(kCpu) == kUnit);
}

TEST_CASE("groups: one that has waited for long gets the next room, before tasks that come on") {
  Policy policy;
  Owner owner(2 * kUnit, policy);
  Worker& first = owner.start();
  Worker& second = owner.start();
  owner.submit();
  owner.submit();
  Group* group = add(owner, {{{"CPU", 2}}});
  owner.dispatch();
  for (int i = 0; i < 8; ++i) owner.submit();
  owner.dispatch(policy.starving);
  owner.finish(first, 50 * kMs);
  owner.dispatch();
  CHECK(group->state == GroupState::kWaiting);
  CHECK(owner.in_ring(first) == 0);
  owner.finish(second, 50 * kMs);
  owner.dispatch();
  CHECK(group->state == GroupState::kPlaced);
  owner.scheduler.remove_group(group);
  owner.dispatch();
  CHECK(owner.in_ring(first) > 0);
}

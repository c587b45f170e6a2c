// The life of workers: starting, idle, retired, dead in every state; and when to look again.
#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;

TEST_CASE("workers: a start that failed is made again") {
  Owner owner(kUnit);
  owner.submit();
  CHECK(owner.starts == 1);
  owner.scheduler.worker_start_failed(owner.scheduler.home());
  owner.asked.clear();
  owner.starts = 0;
  CHECK(owner.scheduler.starting() == 0);
  owner.dispatch(kMs);
  CHECK(owner.starts == 1);
}

TEST_CASE("workers: those idle beyond the number of CPUs retire after a second, coldest first") {
  Owner owner(2 * kUnit);
  for (int i = 0; i < 5; ++i) {
    owner.start();
    owner.time += 10 * kMs;
  }
  CHECK(owner.scheduler.alive() == 5);
  owner.dispatch();
  CHECK(owner.retired.empty());
  CHECK(owner.look());
  CHECK(owner.retired.size() == 1);
  CHECK(owner.retired[0] == owner.workers[0].get());
  while (owner.look()) {
  }
  CHECK(owner.retired.size() == 3);
  CHECK(owner.scheduler.idle() == 2);
  for (Worker* worker : owner.retired) {
    CHECK(worker->state == WorkerState::kGone);
    owner.die(*worker);  // its end is noticed later
  }
  CHECK(owner.scheduler.alive() == 2);
}

TEST_CASE("workers: one is kept also where there is no CPU, and waiting ones do not count") {
  Owner owner(0);
  owner.start();
  owner.start();
  owner.dispatch(2 * kSecond);
  CHECK(owner.retired.size() == 1);

  Owner second(kUnit);
  Worker& parent = second.start();
  second.submit();
  second.block(parent);
  second.start();
  second.dispatch(2 * kSecond);
  CHECK(second.retired.empty());
}

TEST_CASE("workers: one that is used again is not retired") {
  Owner owner(kUnit);
  owner.start();
  Worker& hot = owner.start();
  owner.time += 900 * kMs;
  owner.submit();
  owner.finish(hot);
  owner.dispatch(200 * kMs);
  CHECK(owner.retired.size() == 1);
  CHECK(owner.retired[0] != &hot);
}

TEST_CASE("workers: death while starting, idle, leased, blocked, inlining, gone") {
  SUBCASE("starting") {
    Owner owner(kUnit);
    owner.submit();
    Worker never{};
    never.environment = &owner.scheduler.home();
    owner.scheduler.worker_gone(never);
    owner.asked.clear();
    owner.starts = 0;
    CHECK(owner.scheduler.starting() == 0);
    owner.dispatch();
    CHECK(owner.starts == 1);
  }
  SUBCASE("idle") {
    Owner owner(kUnit);
    Worker& worker = owner.start();
    CHECK(owner.die(worker).empty());
    CHECK(owner.scheduler.alive() == 0);
    CHECK(owner.scheduler.idle() == 0);
    owner.submit();
    CHECK(owner.starts == 1);
  }
  SUBCASE("leased, with tasks behind") {
    Owner owner(kUnit);
    Worker& worker = owner.start();
    learn(owner, 10 * kUs);
    std::vector<Task*> sent;
    for (int i = 0; i < 4; ++i) sent.push_back(owner.submit());
    CHECK(owner.die(worker) == std::vector<Task*>{sent[0]});
    CHECK(owner.scheduler.ready() == 3);
    CHECK(owner.scheduler.behind() == 0);
    CHECK(owner.scheduler.ledger().balanced());
    Worker& next = owner.start();
    owner.dispatch();
    CHECK(Owner::process(next).ring.front().task == sent[1]);
  }
  SUBCASE("blocked") {
    Owner owner(kUnit);
    Worker& worker = owner.start();
    owner.submit();
    owner.block(worker);
    owner.die(worker);
    CHECK(owner.scheduler.waiting_workers() == 0);
    CHECK(owner.scheduler.ledger().balanced());
  }
  SUBCASE("running an inlined task") {
    Policy policy;
    policy.max_blocked = 0;
    Owner owner(kUnit, policy);
    Worker& worker = owner.start();
    Task* parent = owner.submit();
    Task* child = owner.make();
    owner.block(worker, true, {child});
    owner.scheduler.submit(child, owner.time);
    owner.dispatch();
    CHECK(child->worker == &worker);
    CHECK(owner.die(worker) == std::vector<Task*>{child, parent});
    CHECK(owner.scheduler.behind() == 0);
    CHECK(owner.scheduler.ledger().balanced());
  }
  SUBCASE("gone already") {
    Owner owner(kUnit);
    Worker& worker = owner.start();
    owner.die(worker);
    owner.die(worker);
    CHECK(owner.scheduler.alive() == 0);
  }
}

TEST_CASE("looking: a node with nothing to do is not woken") {
  Owner owner(2 * kUnit);
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
  owner.start();
  owner.start();
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
  owner.submit();
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
}

TEST_CASE("looking: while a worker starts the node waits for its greeting") {
  Owner owner(kUnit);
  owner.submit();
  CHECK(owner.scheduler.starting() == 1);
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
}

TEST_CASE("looking: a ready task for which there is no room wakes nobody") {
  Owner owner(2 * kUnit);
  owner.set_total("GPU", 1);
  SchedulingClass* gpu = owner.define(1, {{"GPU", 1}});
  owner.start();
  owner.start();
  owner.submit(gpu);
  owner.submit(gpu);
  CHECK(owner.scheduler.ready() == 1);
  CHECK_FALSE(owner.scheduler.next_look(owner.time).has_value());
}

TEST_CASE("looking: one that could be placed is looked at again, less and less often") {
  Policy policy;
  policy.cores = 1;
  Owner owner(2 * kUnit, policy);
  owner.start();
  Worker& hot = owner.start();
  learn(owner, 10 * kUs);
  for (uint32_t i = 0; i < hot.depth + 1; ++i) owner.submit();
  CHECK(owner.scheduler.ready() == 1);
  Owner::process(hot).claimed = 100;  // it is busy with all of them
  Nanos pause = 0;
  for (int i = 0; i < 12 && owner.scheduler.ready() != 0; ++i) {
    const Nanos before = owner.time;
    REQUIRE(owner.look());
    pause = owner.time - before;
    CHECK(pause <= 50 * kMs);
  }
}

// Actors: order of calls, what holds back what, concurrency groups, deaths and restarts.
#include "sched/actors.h"

#include <doctest/doctest.h>

#include <deque>

using namespace bolide;
using namespace bolide::sched;

namespace {

constexpr Nanos kUs = 1'000;

struct Stage : Actors::Actions {
  Stage() : actors(*this) {}

  void send_call(Actor&, Task& call) override { ring.push_back(&call); }

  Task* make(bool holds_back = false) {
    tasks.emplace_back();
    tasks.back().holds_back = holds_back;
    return &tasks.back();
  }
  Task* submit(uint32_t caller = 1, bool is_ready = true, uint32_t group = 0) {
    return submit(make(), caller, is_ready, group);
  }
  Task* submit(Task* call, uint32_t caller = 1, bool is_ready = true, uint32_t group = 0) {
    actors.submit(actor, call, caller, group, is_ready);
    REQUIRE(Actors::audit(actor));
    return call;
  }
  void start() {
    actors.starting(actor, worker);
    actors.alive(actor);
    REQUIRE(Actors::audit(actor));
  }
  // answer completes the oldest call that was sent.
  Task* answer(Nanos duration = kUs, bool again = false) {
    Task* call = ring.front();
    ring.pop_front();
    actors.completed(call, duration, again);
    REQUIRE(Actors::audit(actor));
    return call;
  }
  std::vector<Task*> sent() const { return {ring.begin(), ring.end()}; }

  Actors actors;
  Actor actor;
  Worker worker;
  std::deque<Task> tasks;
  std::deque<Task*> ring;
};

using Calls = std::vector<Task*>;

}  // namespace

TEST_CASE("actors: calls wait for the constructor and are then sent in order") {
  Stage stage;
  Task* a = stage.submit();
  Task* b = stage.submit();
  CHECK(stage.ring.empty());
  CHECK(stage.actor.held == 2);
  stage.start();
  CHECK(stage.sent() == Calls{a, b});
  CHECK(a->worker == &stage.worker);
  Task* c = stage.submit();
  CHECK(stage.sent() == Calls{a, b, c});
  CHECK(stage.actor.held == 0);
}

TEST_CASE("actors: a call whose dependency is not ready holds back its caller's later calls only") {
  Stage stage;
  stage.start();
  Task* waits = stage.submit(1, false);
  Task* later = stage.submit(1);
  Task* other = stage.submit(2);
  CHECK(stage.sent() == Calls{other});
  stage.actors.ready(waits);
  CHECK(stage.sent() == Calls{other, waits, later});
}

TEST_CASE("actors: of two that wait, the second becoming ready first changes nothing") {
  Stage stage;
  stage.start();
  Task* a = stage.submit(1, false);
  Task* b = stage.submit(1, false);
  stage.actors.ready(b);
  CHECK(stage.ring.empty());
  stage.actors.ready(a);
  CHECK(stage.sent() == Calls{a, b});
}

TEST_CASE("actors: where order does not matter, what is ready goes") {
  Stage stage;
  stage.actor.in_order = false;
  stage.start();
  Task* waits = stage.submit(1, false);
  Task* later = stage.submit(1);
  CHECK(stage.sent() == Calls{later});
  stage.actors.ready(waits);
  CHECK(stage.sent() == Calls{later, waits});
}

TEST_CASE("actors: a failed dependency lets the later calls go") {
  Stage stage;
  stage.start();
  Task* fails = stage.submit(1, false);
  Task* later = stage.submit(1);
  stage.actors.forget(fails);
  CHECK(stage.sent() == Calls{later});
}

TEST_CASE("actors: a call that may run again is out alone, and comes first again") {
  Stage stage;
  stage.start();
  Task* before = stage.submit();
  Task* retried = stage.submit(stage.make(true));
  Task* later = stage.submit();
  Task* other = stage.submit(2);
  CHECK(stage.sent() == Calls{before, retried, other});
  stage.answer();
  CHECK(stage.answer(kUs, true) == retried);
  CHECK(stage.sent() == Calls{other, retried});
  stage.answer();
  CHECK(stage.answer() == retried);
  CHECK(stage.sent() == Calls{later});
}

TEST_CASE("actors: long calls are not sent far ahead, short ones are") {
  Stage stage;
  stage.start();
  for (int i = 0; i < 2000; ++i) stage.submit();
  CHECK(stage.ring.size() == 16);
  for (int i = 0; i < 50; ++i) stage.answer(100);
  CHECK(stage.ring.size() == 1000);  // 100 us of work
  for (int i = 0; i < 200; ++i) stage.answer(10'000'000);
  while (stage.ring.size() > 2) stage.answer(10'000'000);
  stage.answer(10'000'000);
  CHECK(stage.ring.size() == 2);
}

TEST_CASE("actors: no more calls of a group than it may run at a time") {
  Stage stage;
  stage.actor.in_order = false;
  stage.actor.groups = {{3, 0}, {1, 0}};
  stage.start();
  for (int i = 0; i < 10; ++i) stage.submit(1, true, 0);
  for (int i = 0; i < 10; ++i) stage.submit(1, true, 1);
  CHECK(stage.ring.size() == 4);
  CHECK(stage.actor.groups[0].out == 3);
  CHECK(stage.actor.groups[1].out == 1);
  while (!stage.ring.empty()) stage.answer(10'000 * kUs);
  CHECK(stage.actor.held == 0);
}

TEST_CASE("actors: callers take turns") {
  Stage stage;
  Task* a1 = stage.submit(1);
  Task* a2 = stage.submit(1);
  Task* b1 = stage.submit(2);
  Task* b2 = stage.submit(2);
  stage.start();
  CHECK(stage.sent() == Calls{a1, b1, a2, b2});
}

TEST_CASE("actors: after a restart, what had not begun is sent again before what came later") {
  Stage stage;
  stage.actor.max_restarts = 1;
  stage.start();
  Task* begun = stage.submit(1);
  Task* behind = stage.submit(1);
  Task* other = stage.submit(2);
  Task* last = stage.submit(1);
  stage.ring.clear();
  // The worker dies; `begun` fails. As the owner does it: newest first.
  stage.actors.back(last);
  stage.actors.back(other);
  stage.actors.back(behind);
  stage.actors.ended(begun);
  REQUIRE(stage.actor.may_restart());
  stage.actors.restarting(stage.actor);
  ++stage.actor.restarts;
  CHECK(!stage.actor.may_restart());
  Task* later = stage.submit(1);
  CHECK(stage.ring.empty());
  stage.start();
  CHECK(stage.sent() == Calls{behind, other, last, later});
}

TEST_CASE("actors: a dead actor's calls are given up, whatever they wait for") {
  for (const bool in_order : {true, false}) {
    Stage stage;
    stage.actor.in_order = in_order;
    Task* a = stage.submit(1);
    Task* b = stage.submit(1, false);
    Task* c = stage.submit(2);
    stage.actor.state = ActorState::kDead;
    Calls given_up = stage.actors.take_held(stage.actor);
    CHECK(given_up.size() == 3);
    for (Task* call : {a, b, c}) {
      CHECK(std::find(given_up.begin(), given_up.end(), call) != given_up.end());
    }
    CHECK(Actors::audit(stage.actor));
  }
}

TEST_CASE("actors: pending counts a caller's calls in every state") {
  Stage stage;
  stage.actor.groups = {{1, 0}, {1, 0}};
  stage.start();
  stage.submit(1, true, 0);
  stage.submit(1, true, 0);
  stage.submit(1, true, 1);
  stage.submit(1, false, 1);
  stage.submit(2);
  CHECK(Actors::pending(stage.actor, 1) == 4);
  CHECK(Actors::pending(stage.actor, 2) == 1);
  CHECK(Actors::pending(stage.actor, 3) == 0);
  stage.answer();
  CHECK(Actors::pending(stage.actor, 1) == 3);
}

TEST_CASE("actors: callers that have no call are forgotten when there are many") {
  Stage stage;
  stage.start();
  for (uint32_t caller = 1; caller <= 1000; ++caller) {
    stage.submit(caller);
    stage.answer();
  }
  CHECK(stage.actor.queues.size() <= 32);
}

// Claiming and taking back: the rules one by one, then every order of the steps of both sides in
// small scenarios. Traffic between two threads is in claim_stress_test.cpp.
#include <doctest/doctest.h>

#include "ipc/claim_testing.h"

using namespace bolide::ipc;
using namespace bolide::ipc::testing;
using Did = WorkerSide::Did;

namespace {

std::vector<uint64_t> send_some(NodeSide& node, uint64_t count) {
  std::vector<uint64_t> tasks;
  for (uint64_t task = 1; task <= count; ++task) {
    REQUIRE(node.send(task));
    tasks.push_back(task);
  }
  node.publish();
  return tasks;
}

}  // namespace

TEST_CASE("claim: what nobody has claimed is taken back whole, and refused to the worker") {
  Ring ring(1024);
  NodeSide node(ring);
  WorkerSide worker(ring);
  const auto tasks = send_some(node, 3);
  CHECK(node.take() == tasks);
  CHECK(ring.memory.control()->verdict.load() == 2);
  uint64_t task = 0;
  for (uint64_t expected : tasks) {
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kRefused);
    CHECK(task == expected);
  }
  CHECK(worker.turn(Purpose::kRun, &task) == Did::kNothing);
}

TEST_CASE("claim: with no candidates nothing happens but a verdict") {
  Ring ring(1024);
  CHECK(take_back(ring.in, {}) == 0);
  CHECK(ring.memory.control()->verdict.load() == 2);
}

TEST_CASE("claim: what was claimed stays the worker's, whether its space was given back or not") {
  for (bool release : {false, true}) {
    CAPTURE(release);
    Ring ring(1024);
    NodeSide node(ring);
    WorkerSide worker(ring);
    send_some(node, 4);
    uint64_t task = 0;
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kClaimed);
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kClaimed);
    CHECK(ring.memory.control()->claimed.load() == 2 << 1);
    if (release) worker.release();
    CHECK(node.take() == std::vector<uint64_t>{3, 4});
    CHECK(node.take().empty());
    for (const Candidate& kept : node.outstanding) {
      if (!release) CHECK(ring.in.flags_at(kept.position).load() == 0);
    }
    // What is sent again gets a new sequence number behind the refused records.
    REQUIRE(node.send(3));
    node.publish();
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kRefused);
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kRefused);
    CHECK(worker.turn(Purpose::kRun, &task) == Did::kClaimed);
    CHECK(task == 3);
    CHECK(ring.memory.control()->claimed.load() == 5 << 1);
  }
}

TEST_CASE("claim: everything claimed leaves nothing to take") {
  Ring ring(1024);
  NodeSide node(ring);
  WorkerSide worker(ring);
  send_some(node, 2);
  uint64_t task = 0;
  worker.turn(Purpose::kRun, &task);
  worker.turn(Purpose::kRun, &task);
  worker.release();
  CHECK(node.take().empty());
}

TEST_CASE("claim: a hand-back is marked as one, and is not the node's to take") {
  Ring ring(1024);
  NodeSide node(ring);
  WorkerSide worker(ring);
  send_some(node, 2);
  uint64_t task = 0;
  CHECK(worker.turn(Purpose::kHandBack, &task) == Did::kClaimed);
  CHECK(ring.memory.control()->claimed.load() == (1 << 1 | 1));
  CHECK(node.take() == std::vector<uint64_t>{2});
}

TEST_CASE("claim: records that are committed but not published can be taken back too") {
  Ring ring(1024);
  NodeSide node(ring);
  WorkerSide worker(ring);
  REQUIRE(node.send(1));
  CHECK(node.take() == std::vector<uint64_t>{1});
  REQUIRE(node.send(2));
  node.publish();
  uint64_t task = 0;
  CHECK(worker.turn(Purpose::kRun, &task) == Did::kRefused);
  CHECK(worker.turn(Purpose::kRun, &task) == Did::kClaimed);
  CHECK(task == 2);
}

// ---- every order of the steps

namespace {

struct Scenario {
  uint64_t tasks;       // sent before the two sides begin
  int worker_turns;     // records that the worker takes meanwhile
  int take_backs;       // one after the other
  bool resend;          // what was taken goes back into the same ring
  bool release;         // the worker gives space back after each record
  int hand_back_from;   // the turn from which on the worker hands back; -1: never
  size_t preemptions;
};

// Runs one order and returns the log if a task was not run exactly once.
std::string run_once(const Scenario& s, const std::vector<char>& choices,
                     std::vector<char>* made) {
  Ring ring(2048);
  NodeSide node(ring);
  WorkerSide worker(ring);
  Interleaving steps([&] { return (ring.memory.control()->verdict.load() & 1) == 0; });
  std::vector<int> runs(s.tasks + 1, 0);
  std::vector<uint64_t> elsewhere;  // run by another worker
  int turn = 0;
  for (uint64_t task = 1; task <= s.tasks; ++task) node.send(task);
  ring.in.publish();
  const auto work = [&] {
    uint64_t task = 0;
    const bool back = s.hand_back_from >= 0 && turn >= s.hand_back_from;
    ++turn;
    const Did did = worker.turn(back ? Purpose::kHandBack : Purpose::kRun, &task);
    if (did == Did::kClaimed) ++runs[task];  // handed back: the node would see that it is run
    if (did != Did::kNothing && s.release) worker.release();
    return did;
  };
  *made = steps.run(
      choices, s.preemptions,
      [&] {
        for (int i = 0; i < s.worker_turns; ++i) work();
      },
      [&] {
        for (int i = 0; i < s.take_backs; ++i) {
          const auto back = node.take();
          for (uint64_t task : back) {
            if (s.resend) {
              node.send(task);
            } else {
              elsewhere.push_back(task);
            }
          }
          if (s.resend) node.publish();
        }
      });
  if (steps.stuck()) return "stuck:" + steps.log;
  while (work() != Did::kNothing) {
  }
  for (uint64_t task : elsewhere) ++runs[task];
  for (uint64_t task = 1; task <= s.tasks; ++task) {
    if (runs[task] != 1) {
      return "task " + std::to_string(task) + " was run " + std::to_string(runs[task]) +
             " times:" + steps.log;
    }
  }
  return "";
}

size_t explore(const Scenario& scenario) {
  std::vector<char> choices;
  size_t orders = 0;
  do {
    const std::vector<char> wanted = choices;
    const std::string wrong = run_once(scenario, wanted, &choices);
    ++orders;
    if (!wrong.empty()) {
      FAIL_CHECK(wrong);
      return orders;
    }
  } while (next_choices(choices));
  return orders;
}

}  // namespace

TEST_CASE("claim: one task and one take-back, in every order") {
  CHECK(explore({1, 1, 1, false, true, -1, 99}) > 10);
}

TEST_CASE("claim: two tasks and one take-back, in every order") {
  CHECK(explore({2, 2, 1, false, false, -1, 99}) > 50);
}

TEST_CASE("claim: one task and two take-backs one after the other, in every order") {
  CHECK(explore({1, 1, 2, false, true, -1, 99}) > 100);
}

TEST_CASE("claim: two tasks, two take-backs that send again, in all orders of few switches") {
  CHECK(explore({2, 3, 2, true, true, -1, 3}) > 100);
}

TEST_CASE("claim: handing back from the second task on, in all orders of few switches") {
  CHECK(explore({3, 3, 2, false, true, 1, 3}) > 100);
}

TEST_CASE("claim: three tasks without giving space back, in all orders of few switches") {
  CHECK(explore({3, 3, 2, true, false, -1, 3}) > 100);
}

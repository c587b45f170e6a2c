// Who waits for something is woken when it is there, however it waits and whoever sleeps.
#include "simulated_node/node_testing.h"

using namespace bolide;
using namespace testing;

namespace {

// warm_up runs tiny tasks: a worker is there, and its ring then takes several at a time.
void warm_up(Stage& stage, Node& node) {
  for (int i = 0; i < 20; ++i) {
    ObjectEntry* entry = stage.call(node, [](WorkerClient&) {});
    CHECK(stage.get(node, entry));
    node.release(entry);
  }
}

}  // namespace

TEST_CASE("an object that is watched comes although its result was there before, unread") {
  Stage stage({});
  stage.play([&](Node& node) {
    warm_up(stage, node);
    stage.sleep(50 * kMillisecond);  // nobody waits, so workers ring only before they sleep
    ObjectEntry* first = stage.call(node, [](WorkerClient&) {});
    ObjectEntry* second = stage.call(node, [&](WorkerClient&) { stage.sleep(10 * kSecond); });
    stage.sleep(kMillisecond);  // the first has ended, and its worker is busy with the second
    CHECK_FALSE(first->ready());
    auto queue = node::CompletionQueue::create().take();
    const Nanos began = stage.time();
    CHECK(node.watch(first, queue, 7).is_ok());
    pollfd item{queue->fd(), POLLIN, 0};
    os::poll_fds(&item, 1, -1);
    CHECK(queue->take() == std::vector<uint64_t>{7});
    CHECK(stage.time() - began < 5 * kMillisecond);
    node.release(first);
    node.release(second);
  });
}

TEST_CASE("in a worker, one thread's wait does not keep silent what another thread asks") {
  Stage stage({.cpus = 4});
  stage.play([&](Node& node) {
    Nanos asked = 0;
    Nanos got = 0;
    ObjectEntry* task = stage.call(node, [&](WorkerClient& worker) {
      ObjectEntry* slow = stage.call(worker, [&](WorkerClient&) { stage.sleep(10 * kSecond); });
      simulator::Machine& machine = stage.machine();
      const simulator::Thread& other =
          machine.start_thread(machine.process(), "other", [&worker, slow] {
            ObjectEntry* entry = slow;
            worker.ask(std::span(&entry, 1), true);
            node::WaitMode mode;
            worker.wait(std::span(&entry, 1), 1, INT64_MAX, mode);
          });
      stage.sleep(100 * kMillisecond);  // the other thread leads, and sleeps
      asked = stage.time();
      ObjectEntry* quick = stage.call(worker, [](WorkerClient&) {});
      CHECK(stage.get(worker, quick));
      got = stage.time();
      machine.join(other);
      worker.release(slow);
      worker.release(quick);
    });
    stage.sleep(20 * kSecond);  // not in get: then the bell would ask for every record
    CHECK(got > 0);
    CHECK(got - asked < 20 * kMillisecond);
    CHECK(stage.get(node, task));
    node.release(task);
  });
}

TEST_CASE("the end of the runtime announces a watched object once") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Stage stage({.seed = seed});
    stage.play([&](Node& node) {
      warm_up(stage, node);
      ObjectEntry* entry = stage.call(node, [](WorkerClient&) {});
      auto queue = node::CompletionQueue::create().take();
      CHECK(node.watch(entry, queue, 7).is_ok());
      node.stop();
      const size_t tokens = queue->take().size();
      CHECK_MESSAGE(tokens == 1, "seed " << seed);
      node.release(entry);
    });
  }
}

TEST_CASE("a thread's value that lies behind a task is read once another thread has the task") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Stage stage({.cpus = 2, .seed = seed});
    stage.play([&](Node& node) {
      Nanos made = 0;
      Nanos got = 0;
      for (int i = 0; i < 20; ++i) {  // pauses teach the workers to spin for a moment only
        ObjectEntry* entry = stage.call(node, [&](WorkerClient&) {});
        CHECK(stage.get(node, entry));
        node.release(entry);
        stage.sleep(kMillisecond);
      }
      ObjectEntry* slow = stage.call(node, [&](WorkerClient&) {
        stage.sleep(10 * kMillisecond);
        made = stage.time();
      });
      // Leaves a thread that waits for the slow task, and leads when its worker has nothing to do.
      ObjectEntry* task = stage.call(node, [&](WorkerClient& worker) {
        simulator::Machine& machine = stage.machine();
        machine.start_thread(machine.process(), "other", [&] {
          ObjectEntry* entry = worker.acquire(slow->id);
          worker.ask(std::span(&entry, 1), true);
          node::WaitMode mode;
          worker.wait(std::span(&entry, 1), 1, INT64_MAX, mode);
          got = stage.time();
          worker.release(entry);
        });
      });
      CHECK(stage.get(node, task));
      while (made == 0) stage.sleep(kMicrosecond);
      ObjectEntry* next = stage.call(node, [](WorkerClient&) {});
      CHECK(stage.get(node, next));
      CHECK(stage.get(node, slow));
      stage.sleep(5 * kMillisecond);
      CHECK_MESSAGE(got > 0, "seed " << seed);
      for (ObjectEntry* entry : {slow, task, next}) node.release(entry);
    });
  }
}

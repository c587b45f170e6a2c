// Tasks whose records are too large for a ring and find no memory fail, and nothing else does.
#include "simulated_node/node_testing.h"

using namespace bolide;
using namespace testing;

namespace {
constexpr size_t kTooLarge = 50'000;  // for a record in a ring
}

TEST_CASE("a task that cannot be sent to a worker whose death is being read fails") {
  Stage stage({});
  stage.play([&](Node& node) {
    for (int i = 0; i < 20; ++i) {
      ObjectEntry* entry = stage.call(node, [](WorkerClient&) {});
      CHECK(stage.get(node, entry));
      node.release(entry);
    }
    stage.sleep(50 * kMillisecond);
    // The worker dies right after the first task's result, which nobody has read.
    ObjectEntry* first = stage.call(node, [](WorkerClient&) {});
    bool died = false;
    ObjectEntry* second = stage.call(node, [&](WorkerClient&) {
      if (std::exchange(died, true)) return;
      stage.machine().kill(stage.machine().process(), 9);
    });
    ObjectEntry* third =
        stage.call(node, [](WorkerClient&) {}, {.dependencies = {first}, .bytes = kTooLarge});
    stage.machine().set_memory_short(true);
    stage.sleep(kSecond);
    CHECK(third->ready());
    CHECK_FALSE(stage.get(node, third));
    stage.machine().set_memory_short(false);
    CHECK(stage.get(node, second));
    CHECK(node.audit());
    for (ObjectEntry* entry : {first, second, third}) node.release(entry);
  });
}

TEST_CASE(
    "a task that cannot be sent to the worker that waits for it leaves that worker as it was") {
  Stage stage({.max_blocked_per_core = 1});
  stage.play([&](Node& node) {
    std::vector<std::byte> bytes(8'000);
    ObjectEntry* part = node.put_inline(bytes.data(), bytes.size(), {}, 0).take();
    ObjectEntry* outer = stage.call(node, [&](WorkerClient& worker) {
      ObjectEntry* middle = stage.call(worker, [&](WorkerClient& blocked) {
        // Two workers wait now, more than may: the task is given to the one that waits for it.
        stage.machine().set_memory_short(true);
        ObjectEntry* known = blocked.acquire(part->id);
        ObjectEntry* unsent =
            stage.call(blocked, [](WorkerClient&) {}, {.dependencies = {known}, .bytes = 28'000});
        CHECK_FALSE(stage.get(blocked, unsent));
        stage.machine().set_memory_short(false);
        // It lends its CPU as before.
        ObjectEntry* inner = stage.call(blocked, [](WorkerClient&) {});
        CHECK(stage.get(blocked, inner));
        for (ObjectEntry* entry : {known, unsent, inner}) blocked.release(entry);
      });
      CHECK(stage.get(worker, middle));
      worker.release(middle);
    });
    CHECK(stage.get(node, outer));
    stage.sleep(kSecond);
    CHECK(node.audit());
    CHECK(node.stats().waiting_workers == 0);
    node.release(outer);
    node.release(part);
  });
}

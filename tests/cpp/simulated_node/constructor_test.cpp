// An actor's constructor that comes when no thread of its worker can run it.
#include "simulated_node/node_testing.h"
#include "support/actor_value.h"

using namespace bolide;
using namespace testing;

TEST_CASE("a constructor that comes while the worker's thread waits for memory is run after that") {
  Stage::Options options;
  // The thread that waits reads the ring, and takes no tasks then. A thread that a task has left
  // behind does so too, when it waits in the moment between two tasks of the main thread.
  options.before_tasks = [](WorkerClient& worker) {
    auto slot = worker.reserve(1 << 20, false, now(), INT64_MAX);
    CHECK(slot.is_ok());
    worker.abandon(*slot);
  };
  Stage stage(options);
  stage.play([&](Node& node) {
    const node::Client::Quantities nothing;
    const std::pair<std::string, int64_t> cpu{"CPU", 10'000};
    CHECK(node.define_class(kConstructors, std::span(&cpu, 1), &nothing, {}, {}).is_ok());
    const std::string value = support::actor_value({0, -1, node::kInOrder, 1, 0, 1}, {});
    const uint64_t code = stage.function();
    ObjectEntry* actor =
        node.put_inline(value.data(), value.size(), std::span(&code, 1), ipc::kActor).take();
    bool made = false;
    stage.call(node, [&](WorkerClient&) { made = true; }, {.constructs = actor});
    stage.sleep(kSecond);
    CHECK(made);
    CHECK(node.stats().actors == 1);
    CHECK(node.audit());
    node.release(actor);
    stage.sleep(kSecond);
    // The CPU that the constructor had is free again.
    ObjectEntry* entry = stage.call(node, [](WorkerClient&) {});
    CHECK(stage.get(node, entry));
    node.release(entry);
  });
}

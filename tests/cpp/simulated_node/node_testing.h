// node_testing: a node on the simulated machine, with workers that do what a test tells them, in
// virtual time: what takes seconds is tested in microseconds, and a wake-up that is missing shows
// as time that passes.
//
// Use CHECK, not REQUIRE, inside play(): the threads there are not those of the test.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "node/node.h"
#include "simulated/template.h"

namespace testing {

using bolide::node::Node;
using bolide::node::WorkerClient;
using bolide::store::ObjectEntry;

// What a call has beside its work.
struct Arguments {
  std::vector<ObjectEntry*> dependencies = {};
  size_t bytes = 0;
  ObjectEntry* constructs = nullptr;  // the actor whose constructor it is; class kConstructors
};
inline constexpr uint64_t kConstructors = 7;  // key of a scheduling class

class Stage {
 public:
  // Work is the body of a task; it runs in a worker's main thread.
  using Work = std::function<void(WorkerClient& worker)>;
  struct Options {
    double cpus = 1;
    uint32_t max_blocked_per_core = 4;
    uint64_t seed = 1;
    std::function<void(WorkerClient& worker)> before_tasks = {};  // what a worker does first
  };

  explicit Stage(const Options& options);
  ~Stage();

  // play runs `driver` as the driver's main thread, then shuts the node down.
  void play(const std::function<void(Node& node)>& driver);

  // call submits a task, from the driver or from a task; nullptr of a constructor.
  ObjectEntry* call(bolide::node::Client& client, Work work, const Arguments& arguments = {});
  // get waits without a limit; false: the value is an error.
  bool get(Node& node, ObjectEntry* entry);
  bool get(WorkerClient& worker, ObjectEntry* entry);

  uint64_t function() const { return function_id_; }
  simulator::Machine& machine() { return machine_; }
  bolide::Nanos time() const { return machine_.time(); }
  void sleep(bolide::Nanos duration) { machine_.sleep(duration); }

 private:
  void worker_main(bolide::node::WorkerClient::Descriptors descriptors);
  void execute(WorkerClient& worker, const bolide::node::TaskView& task);

  const Options options_;
  simulator::Machine machine_;
  simulator::TemplateHost host_;
  std::deque<Work> works_;  // one that runs may add others
  ObjectEntry* function_ = nullptr;
  uint64_t function_id_ = 0;
};

}  // namespace testing

// run: one seed: a node, its driver's threads, workers that are forked and killed, and what must be
// true in the end.
#pragma once

#include <map>
#include <memory>

#include "simulated/template.h"
#include "simulator/inspector.h"
#include "simulator/settings.h"

namespace simulator {

struct Summary {
  uint64_t tasks = 0;
  uint64_t workers = 0;
  uint64_t deaths = 0;  // of tasks, while they ran
  uint64_t checked = 0;
  uint64_t errors = 0;
  uint64_t steps = 0;
  Nanos time = 0;
};

class Run {
 public:
  explicit Run(const Settings& settings);
  ~Run();
  // run throws Failure.
  Summary run();
  std::string describe();

 private:
  void program();
  void worker_main(uint32_t id, bolide::node::WorkerClient::Descriptors descriptors);
  void drive();
  void become_idle();
  void end_workers();
  std::vector<SimWorker*> workers() const;

  const Settings settings_;
  Machine machine_;
  Oracle oracle_;
  const Context context_;
  TemplateHost host_;
  std::unique_ptr<bolide::node::Node> node_;
  std::unique_ptr<bolide::node::Inspector> inspector_;
  std::map<int, SimWorker*> workers_;  // by pid, living
  uint64_t started_ = 0;
};

}  // namespace simulator

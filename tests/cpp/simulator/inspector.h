// inspector: looks into a node and its workers for the simulator, and changes nothing: what must
// hold between any two steps, when nobody can go on, on an idle node, and at the end.
#pragma once

#include <string>
#include <vector>

#include "node/node.h"
#include "simulator/worker.h"

namespace bolide::node {

class Inspector {
 public:
  Inspector(Node& node, simulator::Machine& machine) : node_(node), machine_(machine) {}

  // check_step: no lock of the node is held.
  void check_step();
  // check_quiet: nobody can go on before `next`. No wake-up may be missing then.
  void check_quiet(const std::vector<simulator::SimWorker*>& workers, Nanos next);
  // is_idle: no task is left, and all that the workers had to say has been read.
  bool is_idle();
  // check_idle also counts all references anew. The driver holds none.
  void check_idle(const std::vector<simulator::SimWorker*>& workers);
  // check_end: in addition all workers are gone.
  void check_end();
  size_t objects() { return node_.objects_.table().size(); }
  size_t workers() { return node_.links_.size(); }

  // begun_by_the_dead tells the oracle what the death of this worker costs.
  void account_death(simulator::SimWorker& worker, simulator::Oracle& oracle);

  std::string describe();

 private:
  static bool result_in_ring(WorkerClient& client, uint64_t sequence);

  Node& node_;
  simulator::Machine& machine_;
};

}  // namespace bolide::node

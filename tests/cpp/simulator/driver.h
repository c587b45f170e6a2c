// driver: a thread of the program that uses the node: it submits tasks of all kinds, puts, waits,
// watches, checks what it gets, follows references inside values, and drops what it holds.
//
// Several of them may use one node; each has its own references.
#pragma once

#include <vector>

#include "node/node.h"
#include "simulator/service.h"

namespace simulator {

class Driver {
 public:
  struct Plan {
    uint64_t tasks = 100;  // of one thread
    uint64_t most_in_flight = 40;
    uint64_t put_per_mille = 100;
    uint64_t wait_per_mille = 100;
    uint64_t watch_per_mille = 0;
    Nanos longest_pause = 0;
  };

  Driver(const Context& context, const Plan& plan, bolide::node::Node& node, Service& service,
         uint64_t seed);

  // run returns when all is done and dropped, or the runtime was shut down.
  void run();

 private:
  void step();
  void submit();
  void put();
  void cancel();
  void wait(size_t most);
  void check_value(ObjectEntry* entry);
  ObjectEntry* take(size_t i);
  std::vector<uint64_t> some(uint64_t most);
  bool closed(const bolide::Status& status);

  const Context context_;
  const Plan plan_;
  bolide::node::Node& node_;
  Service& service_;
  Random random_;
  uint64_t left_;
  bool closed_ = false;
  std::vector<ObjectEntry*> held_;
  std::vector<ObjectEntry*> functions_;
};

}  // namespace simulator

// driver: the program that uses the node: it submits tasks of all kinds, puts, waits, checks what
// it gets, follows references inside values, and drops what it holds. One step at a time.
#pragma once

#include <deque>
#include <vector>

#include "simulator/oracle.h"
#include "simulator/sim_node.h"

namespace simulator {

class Driver {
 public:
  struct Plan {
    uint64_t tasks = 100;
    uint64_t most_in_flight = 40;
    uint64_t put_per_mille = 100;
    uint64_t wait_per_mille = 100;
    Nanos longest_pause = 0;
  };

  Driver(const Plan& plan, const Load& load, SimNode& node, Oracle& oracle, Host& host,
         uint64_t seed);

  bool waits() const { return !awaited_.empty(); }
  // wakes is when it can do its next step.
  Nanos wakes() const;
  void step();
  // look: is what it waits for there?
  void look();
  bool done() const { return left_ == 0 && held_.empty() && !waits(); }
  uint64_t checked() const { return checked_; }

 private:
  struct Held {
    uint64_t id;
    ObjectEntry* entry;
  };

  void submit();
  void put();
  void begin_wait(size_t most);
  void check_value(const Held& held);
  void drop(size_t i);
  std::vector<uint64_t> some(uint64_t most);

  const Plan plan_;
  const Load& load_;
  SimNode& node_;
  Oracle& oracle_;
  Host& host_;
  Random random_;
  uint64_t left_;
  std::vector<Held> held_;
  std::vector<Held> awaited_;
  uint32_t needed_ = 0;
  std::vector<Held> functions_;
  Nanos pause_until_ = 0;
  uint64_t submits_ = 0;
  uint64_t checked_ = 0;
};

}  // namespace simulator

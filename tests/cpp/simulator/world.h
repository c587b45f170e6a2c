// world: one simulated run: a node, a driver, workers that are forked and killed, and virtual
// time. Whoever can do something may be next; when nobody can, time goes on to the next moment at
// which somebody can, and when there is none although work is left, something was forgotten.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "simulator/driver.h"
#include "simulator/sim_node.h"
#include "simulator/sim_worker.h"

namespace simulator {

// Everything about a run that follows from its seed.
struct Settings {
  explicit Settings(uint64_t seed);
  uint64_t seed;
  NodeSettings node;
  Load load;
  Driver::Plan plan;
  uint64_t kills = 0;            // at most
  uint64_t kill_per_million = 0;  // of a worker's steps
  uint64_t pester_per_million = 0;
  Nanos longest_start = 0;
  uint64_t start_fails_per_mille = 0;
  Nanos longest_notice = 0;  // of a death
  uint64_t stalls_per_million = 0;  // steps after which a process gets no processor for a while
  Nanos longest_stall = 0;
};

struct Summary {
  uint64_t tasks = 0;
  uint64_t steps = 0;
  uint64_t deaths = 0;  // of tasks, while they ran
  uint64_t workers = 0;
  uint64_t errors = 0;
  uint64_t checked = 0;
  Nanos time = 0;
};

class World : private Host, private WorkerHost {
 public:
  World(const Settings& settings, bool traced);
  // run throws Failure.
  Summary run();
  std::string describe();

 private:
  struct Event {
    Nanos at;
    enum class Kind { kBegin, kExited } kind;
    uint32_t worker;
  };
  enum class Pump { kDrain, kSetBell, kLook, kAsleep };

  // Host, WorkerHost
  Nanos now() const override { return now_; }
  void fork_worker(WorkerLink& link) override;
  void gave_up() override { oracle_.gave_up(); }
  void ring(ipc::Bell bell) override;
  Oracle& oracle() override { return oracle_; }
  const Load& load() const override { return settings_.load; }
  void trace(const char* format, ...) override __attribute__((format(printf, 2, 3)));

  bool one_step();
  void step_worker(size_t i);
  void step_pump();
  void step_event();
  void step_driver();
  void bury(size_t i);
  Nanos pump_wakes() const;
  Nanos stall();
  Nanos next_moment();
  void run_until_quiet();

  const Settings settings_;
  const bool traced_;
  Random random_;
  Nanos now_ = kSecond;
  Oracle oracle_;
  SimNode node_;
  Driver driver_;
  struct Process {
    std::unique_ptr<SimWorker> worker;
    Nanos stalled_until = 0;
    Nanos wakes() const { return std::max(stalled_until, worker->wakes()); }
  };
  std::vector<Process> workers_;
  std::vector<std::pair<uint32_t, WorkerLink*>> unborn_;
  std::vector<Event> events_;
  Pump pump_ = Pump::kDrain;
  bool rung_ = false;
  Nanos look_at_ = 0;
  Nanos pump_stalled_until_ = 0;
  uint64_t kills_ = 0;
  Summary summary_;
};

}  // namespace simulator

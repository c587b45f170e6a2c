#include "simulator/settings.h"

#include <algorithm>

namespace simulator {

Settings::Settings(uint64_t seed_, bool traced) : seed(seed_) {
  Random random(seed);
  const auto pick = [&random](std::initializer_list<uint64_t> of) {
    return *(of.begin() + random.below(of.size()));
  };
  const auto pick_time = [&](std::initializer_list<uint64_t> of) {
    return static_cast<Nanos>(pick(of));
  };
  machine.traced = traced;
  machine.cores = static_cast<int>(pick({1, 2, 4}));
  machine.switch_one_in = pick({1, 2, 5, 20});
  machine.kills = pick({0, 3, 10, 40});
  machine.kills_per_million = pick({300, 3'000, 20'000});
  machine.stalls_per_million = pick({0, 0, 1'000, 10'000});
  machine.longest_stall = pick_time({20'000, 5'000'000, 500'000'000});
  machine.blocked_sends_per_mille = pick({0, 0, 100});
  machine.memory_short_every = pick_time({0, 0, 0, 10'000'000});
  processes.longest_start = pick_time({100'000, 3'000'000});
  processes.fork_fails_per_mille = pick({0, 0, 0, 100});
  processes.starts_die_per_mille = pick({0, 0, 0, 100, 500});
  processes.longest_notice = pick_time({0, 100'000, 5'000'000});
  processes.dies_per_mille = pick({0, 0, 0, 50});
  node.command.argv = {"template"};
  node.settings = "settings";
  node.num_cpus = static_cast<double>(pick({1, 2, 2, 2, 4}));
  node.resources = {{"disk", 2}};
  node.object_store_memory = pick({200'000, 1 << 20, 8 << 20, 64 << 20});
  node.max_spin = pick_time({0, 5'000, 50'000});
  node.max_blocked_per_core = static_cast<uint32_t>(pick({1, 4}));
  load.depth = static_cast<int>(random.below(4));
  load.most_ops = pick({1, 3, 6, 9});
  load.shortest = pick_time({100, 1'000, 50'000});
  load.longest = load.shortest * pick_time({1, 5, 50});
  load.long_per_mille = pick({0, 0, 20, 200});
  load.bulky_per_mille = pick({0, 0, 200, 700});
  load.large_per_mille = pick({0, 20, 300});
  load.huge_per_mille = pick({0, 0, 10, 100});
  load.largest = pick({10'000, 100'000, 300'000});
  load.classes = pick({1, 1, 3, 5});
  load.raises_per_mille = pick({0, 0, 50});
  load.leaves_per_mille = pick({0, 0, 30});
  load.cancels_per_mille = pick({0, 0, 20, 100});
  threads = pick({1, 1, 1, 2, 3});
  plan.tasks = pick({1, 20, 60, 120}) / threads + 1;
  if (load.depth == 3) plan.tasks = std::min<uint64_t>(plan.tasks, 40 / threads + 1);
  plan.most_in_flight = pick({1, 8, 50, 500});
  plan.put_per_mille = pick({0, 100, 300});
  plan.wait_per_mille = pick({10, 100, 400});
  plan.watch_per_mille = pick({0, 0, 50, 300});
  plan.longest_pause = pick_time({0, 0, 100'000, 20'000'000, 3'000'000'000});
  if (random.one_in(8)) stop_after = 1 + static_cast<Nanos>(random.below(30'000'000));
}

}  // namespace simulator

// simulator: runs the scheduler, the rings, the reference table and the store's books in one
// thread, in virtual time, under seeds. Simulated workers speak the real protocols over the real
// rings, run nested tasks, block, inline, hand back, keep references and are killed between any
// two of their steps. What must be true is kept by an oracle that never asks the runtime:
//
//   - every result is right, comes once, and no task is left over; nothing deadlocks;
//   - a task's attempts are 1 + the deaths that hit it while it ran; it fails only without retries;
//   - at the end no reference, live byte, chunk, watcher or leased CPU is left.
//
//   simulator                        1,000 seeds (BOLIDE_SIM_SEEDS changes that)
//   simulator --seeds N --first S    N seeds from S on
//   simulator --seed S --trace       one seed, telling what happens
//
// A failure prints its seed and the command that replays it. Not covered: threads, memory order
// (tests/cpp/ipc), processes (tests/python/faults); the node's glue is a copy, see sim_node.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "simulator/world.h"

// Sanitizers that have this call it before they end the process.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

volatile uint64_t seed_now;
const char* program;

// tell_seed writes how to replay the seed that is being run.
void tell_seed() {
  char text[256];
  const int size = std::snprintf(text, sizeof text, "seed %lu failed; replay: %s --seed %lu --trace\n",
                                 static_cast<uint64_t>(seed_now), program,
                                 static_cast<uint64_t>(seed_now));
  if (::write(STDERR_FILENO, text, static_cast<size_t>(size)) < 0) return;
}

void on_signal(int signal) {
  tell_seed();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

bool run_seed(uint64_t seed, bool traced, simulator::Summary* total) {
  seed_now = seed;
  simulator::World world(simulator::Settings(seed), traced);
  try {
    const simulator::Summary one = world.run();
    total->tasks += one.tasks;
    total->steps += one.steps;
    total->deaths += one.deaths;
    total->workers += one.workers;
    total->errors += one.errors;
    total->checked += one.checked;
    total->time += one.time;
    return true;
  } catch (const simulator::Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n%s", failure.text.c_str(), world.describe().c_str());
    tell_seed();
    return false;
  }
}

int usage() {
  std::fprintf(stderr, "usage: %s [--seeds N] [--first S] | --seed S [--trace]\n", program);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  program = argv[0];
  const char* wanted = std::getenv("BOLIDE_SIM_SEEDS");
  uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1000;
  uint64_t first = 1;
  bool traced = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--trace") {
      traced = true;
      continue;
    }
    char* end = nullptr;
    const uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    if (end == nullptr || *end != '\0' || end == argv[i + 1]) return usage();
    ++i;
    if (option == "--seeds") {
      seeds = value;
    } else if (option == "--first") {
      first = value;
    } else if (option == "--seed") {
      first = value;
      seeds = 1;
    } else {
      return usage();
    }
  }
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(signal, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_seed);
  simulator::Summary total;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    if (!run_seed(seed, traced, &total)) return 1;
  }
  std::printf("%lu seeds: %lu tasks in %lu workers, %lu deaths of running tasks, %lu values "
              "checked (%lu errors), %lu steps, %.1f s of virtual time\n",
              seeds, total.tasks, total.workers, total.deaths, total.checked, total.errors,
              total.steps, static_cast<double>(total.time) / 1e9);
  return 0;
}

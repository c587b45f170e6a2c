// simulator: runs the node, its driver's threads and its workers, that is the core's own code down
// to the operating system, in one thread and in virtual time under seeds: who runs when, who is
// killed at which step, what is large, full, slow or late. What must be true:
//
//   - every result is right and comes once; nothing deadlocks, and no wake-up is missing whenever
//     nobody can go on;
//   - a task's attempts are 1 + the deaths that hit it while it ran; it fails only without retries;
//   - at the end no reference, live byte, chunk, watcher, leased CPU, descriptor or mapping is
//   left.
//
//   simulator                        1,000 seeds
//   simulator --seeds N --first S    N seeds from S on
//   simulator --seed S               one seed, telling what happens
//
// A failure prints its seed and the command that replays it. How it is made: machine.h. Not
// covered: Python, real processes (tests/python) and memory order (tests/cpp/ipc).
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "simulator/run.h"

// Sanitizers that have this call it before they end the process.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr unsigned kSecondsPerSeed = 120;  // of real time: a seed that hangs must be named too

volatile uint64_t seed_now;
const char* program;

// tell_seed writes how to replay the seed that is being run.
void tell_seed() {
  char text[256];
  const int size =
      std::snprintf(text, sizeof text, "seed %lu failed; replay: %s --seed %lu\n",
                    static_cast<uint64_t>(seed_now), program, static_cast<uint64_t>(seed_now));
  if (::write(STDERR_FILENO, text, static_cast<size_t>(size)) < 0) return;
}

void on_signal(int signal) {
  tell_seed();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run_seed(uint64_t seed, bool traced, simulator::Summary* total) {
  seed_now = seed;
  ::alarm(kSecondsPerSeed);
  simulator::Run run(simulator::Settings(seed, traced));
  try {
    const simulator::Summary one = run.run();
    total->tasks += one.tasks;
    total->workers += one.workers;
    total->deaths += one.deaths;
    total->checked += one.checked;
    total->errors += one.errors;
    total->steps += one.steps;
    total->time += one.time;
  } catch (const simulator::Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n%s", failure.text.c_str(), run.describe().c_str());
    tell_seed();
    std::_Exit(1);  // what was being simulated is left as it is
  }
}

int usage() {
  std::fprintf(stderr, "usage: %s [--seeds N] [--first S] | --seed S\n", program);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  program = argv[0];
  uint64_t seeds = 1000;
  uint64_t first = 1;
  bool traced = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    char* end = nullptr;
    const uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    if (end == nullptr || *end != '\0' || end == argv[i + 1]) return usage();
    if (option == "--seeds") {
      seeds = value;
    } else if (option == "--first") {
      first = value;
    } else if (option == "--seed") {
      first = value;
      seeds = 1;
      traced = true;
    } else {
      return usage();
    }
  }
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM}) {
    std::signal(signal, on_signal);
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_seed);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  simulator::Summary total;
  for (uint64_t seed = first; seed < first + seeds; ++seed) run_seed(seed, traced, &total);
  std::printf(
      "%lu seeds: %lu tasks in %lu workers, %lu deaths of running tasks, %lu values "
      "checked (%lu errors), %lu steps, %.1f s of virtual time\n",
      seeds, total.tasks, total.workers, total.deaths, total.checked, total.errors, total.steps,
      static_cast<double>(total.time) / 1e9);
  return 0;
}

// Units for benchmarks: what a wake-up costs on this machine.
#include <sched.h>

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "bindings/bindings.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "os/memory.h"
#include "os/thread.h"

namespace bolide::bindings {
namespace {

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

// futex_round_trip hands a word back and forth between two threads that sleep, and returns the
// best time of one round trip in nanoseconds.
double futex_round_trip(bool same_core) {
  constexpr uint32_t kTrips = 2000;
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  int cores[2] = {-1, -1};
  for (int core = 0; core < CPU_SETSIZE && cores[1] < 0; ++core) {
    if (CPU_ISSET(core, &before)) (cores[0] < 0 ? cores[0] : cores[1]) = core;
  }
  const int other_core = same_core || cores[1] < 0 ? cores[0] : cores[1];
  std::atomic<uint32_t> word{0};
  const auto take_turns = [&word](uint32_t first) {
    for (uint32_t turn = first; turn < 2 * kTrips; turn += 2) {
      for (uint32_t seen; (seen = word.load()) != turn;) os::futex_wait(&word, seen, kSecond);
      word.store(turn + 1);
      os::futex_wake(&word, 1);
    }
  };
  double best = 0;
  pin(cores[0]);
  for (int round = 0; round < 5; ++round) {
    word.store(0);
    auto other = os::start_thread("bolide-measure", [&] {
      pin(other_core);
      take_turns(1);
    });
    raise_status(other.is_ok() ? Status() : other.status().clone());
    const Nanos began = now();
    take_turns(0);
    other->join();
    const double trip = static_cast<double>(now() - began) / kTrips;
    best = best == 0 ? trip : std::min(best, trip);
  }
  sched_setaffinity(0, sizeof before, &before);
  return best;
}

}  // namespace

void bind_measure(py::module_& module) {
  module.def("futex_round_trip_ns", &futex_round_trip, py::arg("same_core") = true,
             py::call_guard<py::gil_scoped_release>(),
             "Best time of one futex round trip between two threads, in nanoseconds.");
  module.def("now_ns", &now, "The core's monotonic clock, in nanoseconds.");
  module.def("total_memory", &os::total_memory,
             "Bytes of memory: the machine's or the cgroup's limit, whichever is less.");
  module.def("usable_cores", &os::usable_cores,
             "Cores that this process may use: affinity and cgroup quota.");
}

}  // namespace bolide::bindings

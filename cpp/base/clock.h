// Time for the core: nanoseconds of CLOCK_MONOTONIC, the same value in every process of a machine.
//
// Never the wall clock, so a clock that is set back delays and repeats nothing. What decides by
// time takes a Nanos argument, so that tests bring their own. The simulator runs the rest too, in
// builds with fault points, and brings its own time.
//
// Thread safety: now() may be called from anywhere; it makes no system call (vDSO).
#pragma once

#include <chrono>
#include <cstdint>

namespace bolide {

using Nanos = int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

#ifdef BOLIDE_FAULTS
// Read instead of the machine's clock once it is set, which must be before any thread starts.
inline Nanos (*simulated_clock)() = nullptr;
#endif

// libstdc++ and libc++ both read CLOCK_MONOTONIC for steady_clock on Linux.
inline Nanos now() {
#ifdef BOLIDE_FAULTS
  if (simulated_clock != nullptr) return simulated_clock();
#endif
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace bolide

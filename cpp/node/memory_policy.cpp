#include "node/memory_policy.h"

#include <algorithm>
#include <cstdio>

namespace bolide::node {
namespace {

constexpr uint64_t kBytesPerMilli = 4'000'000;  // faster than a core can touch new memory
constexpr Nanos kShortest = 10 * kMillisecond;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kNoCulpritBelow = 64 * kMiB;
constexpr uint64_t kFairPart = 10;  // of the largest

bool newer(const Suspect& one, const Suspect* other) {
  return other == nullptr || one.begun > other->begun;
}

uint64_t fair_part(std::span<const Suspect> suspects) {
  uint64_t largest = 0;
  for (const Suspect& suspect : suspects) largest = std::max(largest, suspect.held);
  return largest / kFairPart;
}

Nanos time_to_fill(uint64_t bytes, Nanos longest) {
  const uint64_t millis = std::min<uint64_t>(bytes / kBytesPerMilli, 1'000'000);
  return std::clamp(static_cast<Nanos>(millis) * kMillisecond, std::min(kShortest, longest),
                    longest);
}

std::string mebibytes(uint64_t bytes) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / double{kMiB});
  return text;
}

std::string percent(double share) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

}  // namespace

double used_share(const os::MachineMemory& machine) {
  if (machine.total == 0) return 0;
  return 1 - static_cast<double>(std::min(machine.available, machine.total)) /
                 static_cast<double>(machine.total);
}

const Suspect* over_its_limit(std::span<const Suspect> suspects) {
  const Suspect* found = nullptr;
  for (const Suspect& suspect : suspects) {
    if (suspect.over_limit() && newer(suspect, found)) found = &suspect;
  }
  return found;
}

const Suspect* culprit(std::span<const Suspect> suspects) {
  const uint64_t least = fair_part(suspects);
  if (least < kNoCulpritBelow / kFairPart) return nullptr;
  const Suspect* found = nullptr;
  for (const Suspect& suspect : suspects) {
    if (suspect.held < least) continue;
    if (found != nullptr && found->retriable && !suspect.retriable) continue;
    const bool better = found != nullptr && suspect.retriable && !found->retriable;
    if (better || newer(suspect, found)) found = &suspect;
  }
  return found;
}

bool is_alone(std::span<const Suspect> suspects, const Suspect& victim) {
  const uint64_t least = fair_part(suspects);
  return std::none_of(suspects.begin(), suspects.end(), [&](const Suspect& other) {
    return other.worker != victim.worker && other.runs && other.held >= least;
  });
}

Nanos pause_to_limits(std::span<const Suspect> suspects, Nanos longest) {
  Nanos pause = longest;
  for (const Suspect& suspect : suspects) {
    if (suspect.limit == 0) continue;
    const uint64_t left = suspect.limit - std::min(suspect.limit, suspect.charged());
    pause = std::min(pause, time_to_fill(left, longest));
  }
  return pause;
}

Nanos pause_to_threshold(const os::MachineMemory& machine, double threshold, Nanos longest) {
  const double left = std::max(0.0, threshold - used_share(machine));
  return time_to_fill(static_cast<uint64_t>(left * static_cast<double>(machine.total)), longest);
}

std::string explain(const MemoryDeath& death, const std::string& what, int pid) {
  const Suspect& suspect = death.suspect;
  const std::string process = "its worker process (pid " + std::to_string(pid) + ", " +
                              mebibytes(suspect.held) + " RSS without shared memory) was killed";
  if (death.own_limit()) {
    return what + " ran out of memory: it held " + mebibytes(suspect.charged()) +
           ", more than its limit of " + mebibytes(suspect.limit) + " (memory=" +
           std::to_string(suspect.limit) + "), and " + process;
  }
  return what + " ran out of memory: " + mebibytes(death.machine.total - death.machine.available) +
         " of the machine's " + mebibytes(death.machine.total) + " were in use (" +
         percent(used_share(death.machine)) + "), above the threshold of " +
         percent(death.threshold) + ", and " + process + " as the newest" +
         (suspect.retriable ? " of those that may run again" : "");
}

}  // namespace bolide::node

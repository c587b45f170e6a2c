// Fault points: named places where a test build can be killed, delayed or made to fail.
//
//   BOLIDE_FAULT_AT("ring.publish.2");                       // kill or delay here
//   if (BOLIDE_FAULT_FAIL("memfd.create")) return ...;       // ... or take the failing branch
//
// Without the build option BOLIDE_FAULTS (as in wheels) both compile to nothing and no variable is
// read. With it the environment variable BOLIDE_FAULT holds rules separated by ';':
//
//   point=action[:argument][@nth][%p]
//
//   point   a name, or a beginning that ends in '*'
//   action  kill (SIGKILL to this process), delay:MICROSECONDS, fail
//   @nth    only the nth time this process gets there (1 is the first); default every time
//   %p      with probability p in 1000, decided by BOLIDE_FAULT_SEED and the count of visits,
//           so one seed makes the same decisions in every run
//
// All rules that match a point are applied in the order of the plan. A plan that cannot be read
// ends the process: a misspelt rule must not look like a passed test.
//
// Thread safety: at() may be called from any thread. Counts are per process; a forked child starts
// with its parent's.
#pragma once

#ifdef BOLIDE_FAULTS

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/api.h"
#include "base/status.h"

namespace bolide::fault {

enum class Action : uint8_t { kKill, kDelay, kFail };

struct Rule {
  std::string point;    // without the trailing '*'
  bool prefix = false;  // the point ended in '*'
  Action action = Action::kFail;
  int64_t delay_us = 0;  // kDelay only
  uint64_t nth = 0;      // 0: every visit
  uint32_t per_mille = 1000;

  bool matches(std::string_view name) const;
};

// What one visit to a point has to do; `kill` and the delay come before `fail`.
struct Decision {
  bool kill = false;
  bool fail = false;
  int64_t delay_us = 0;
};

// A parsed list of rules with the number of visits to each.
class BOLIDE_API Plan {
 public:
  static Result<Plan> parse(std::string_view text, uint64_t seed);

  const std::vector<Rule>& rules() const { return rules_; }
  bool empty() const { return rules_.empty(); }

  // visits is how often a point of that rule was visited.
  uint64_t visits(size_t rule) const { return visits_[rule].load(std::memory_order_relaxed); }
  // Counts a visit to `point` and says what has to happen.
  Decision visit(std::string_view point);

 private:
  uint64_t seed_ = 0;
  std::vector<Rule> rules_;
  std::unique_ptr<std::atomic<uint64_t>[]> visits_;  // one for each rule
};

// visits is how often this process has been at a point of the first rule of its plan.
BOLIDE_API uint64_t visits();

// Visits `point` in this process's plan: may not return (kill), may sleep; true means "fail".
BOLIDE_API bool at(const char* point);

// Replaces this process's plan, as if the environment had held `text`. For tests and drivers that
// arm a plan at run time; threads inside at() finish with the old one.
BOLIDE_API Status load(std::string_view text, uint64_t seed);

}  // namespace bolide::fault

#define BOLIDE_FAULT_AT(point) static_cast<void>(::bolide::fault::at(point))
#define BOLIDE_FAULT_FAIL(point) (::bolide::fault::at(point))

#else

#define BOLIDE_FAULT_AT(point) static_cast<void>(0)
#define BOLIDE_FAULT_FAIL(point) (false)

#endif

// amount: a quantity of a resource, in units of 1/10000.
#pragma once

#include <cstdint>

namespace bolide::sched {

using Amount = int64_t;
inline constexpr Amount kUnit = 10000;
inline constexpr Amount kMostAmount = Amount{1} << 60;  // two of them can be added

}  // namespace bolide::sched

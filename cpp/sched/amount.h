// amount: a quantity of a resource, in units of 1/10000.
#pragma once

#include <cstdint>

namespace bolide::sched {

using Amount = int64_t;
inline constexpr Amount kUnit = 10000;

}  // namespace bolide::sched

// mutate: changes of an input that a seed decides, for compilers that have no fuzzer of their own.
// They know no coverage; they know that the inputs are made of 16, 32 and 64-bit words.
#pragma once

#include <cstdint>
#include <vector>

#include "fuzz/target.h"
#include "simulated/random.h"

namespace fuzz {

// mutated is one of `pool`, changed in one to eight places; at most `most` bytes.
Bytes mutated(const std::vector<Bytes>& pool, simulator::Random& random, size_t most);

}  // namespace fuzz

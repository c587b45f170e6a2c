// for_seeds: runs the body of a randomised test for some seeds, or for the one in
// BOLIDE_TEST_SEED. A failure prints its seed.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <random>

namespace support {

template <class Body>
void for_seeds(uint64_t count, Body body) {
  const char* only = std::getenv("BOLIDE_TEST_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < (only != nullptr ? first + 1 : first + count); ++seed) {
    INFO("replay with BOLIDE_TEST_SEED=" << seed);
    std::mt19937_64 random(seed);
    body(random);
  }
}

inline uint64_t below(std::mt19937_64& random, uint64_t limit) { return random() % limit; }
inline bool one_in(std::mt19937_64& random, uint64_t n) { return random() % n == 0; }

}  // namespace support

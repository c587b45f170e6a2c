// random: one small generator for everything that a seed decides, so that a seed means the same
// run on every machine (the standard distributions differ between libraries).
#pragma once

#include <cstdint>

namespace simulator {

inline uint64_t mix(uint64_t a, uint64_t b) {  // splitmix64 of both
  uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x7f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed, 1)) {}

  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15u, 0); }
  // below: 0 .. limit - 1; limit must not be 0.
  uint64_t below(uint64_t limit) { return next() % limit; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool one_in(uint64_t n) { return next() % n == 0; }
  bool per_mille(uint64_t p) { return next() % 1000 < p; }

 private:
  uint64_t state_;
};

}  // namespace simulator

// store_testing: what the tests of the store share: seeds that are printed on failure, and a
// shorthand for Locations. Not a test itself.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/location.h"
#include "os/memory.h"
#include "store/registry.h"
#include "store/sizes.h"

namespace bolide::store::testing {

inline Location at(uint32_t chunk, uint64_t offset, uint64_t size) {
  return Location{ChunkId{chunk}, 0, offset, size};
}

// Objects in tests are named by the place where they lie.
inline ObjectId id_of(const Location& where) {
  return make_object_id(ClientId{where.chunk.value}, (where.offset / kAlignment + 1) % (1 << 30));
}
inline Status seal(Registry& registry, const Location& where, ClientId owner) {
  return registry.seal_object(where, owner, id_of(where));
}
inline std::optional<Freed> free(Registry& registry, const Location& where) {
  return registry.free_object(where, id_of(where));
}

inline os::Fd memfd(uint64_t size) {
  auto fd = os::create_memfd("test", size);
  REQUIRE(fd.is_ok());
  return fd.take();
}

// Runs a body for some seeds, or for the one in BOLIDE_TEST_SEED. A failure prints its seed.
inline void for_seeds(uint64_t count, const std::function<void(std::mt19937_64&)>& body) {
  const char* only = std::getenv("BOLIDE_TEST_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < (only != nullptr ? first + 1 : first + count); ++seed) {
    INFO("replay with BOLIDE_TEST_SEED=" << seed);
    std::mt19937_64 random(seed);
    body(random);
  }
}

inline uint64_t below(std::mt19937_64& random, uint64_t limit) {
  return random() % limit;
}

}  // namespace bolide::store::testing

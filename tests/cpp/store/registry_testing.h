// registry_testing: clients, room and sealed chunks for the tests of Registry. Not a test itself.
#pragma once

#include "store/registry.h"
#include "store_testing.h"

namespace bolide::store::testing {

inline constexpr ClientId kAnn{1};
inline constexpr ClientId kBob{2};

inline uint64_t plenty() { return uint64_t{1} << 40; }

// sealed_chunk grants a chunk and has it sealed, as its writer would.
inline ChunkId sealed_chunk(Registry& registry, ClientId owner, uint64_t chunk_size,
                            uint64_t wanted) {
  auto grant = registry.grant(owner, chunk_size, wanted, false);
  REQUIRE(grant.is_ok());
  REQUIRE(os::seal_future_write(*registry.fd(grant->id)).is_ok());
  return grant->id;
}

}  // namespace bolide::store::testing

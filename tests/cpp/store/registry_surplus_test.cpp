// What the registry says of chunks that could go: surplus and excess.
#include "store/registry.h"

#include <vector>

#include "store/arena.h"
#include "store/views.h"
#include "registry_testing.h"
#include "support/faults.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

TEST_CASE("registry: surplus is what exceeds 64 MiB of chunks that were empty for half a second") {
  Registry registry(1000 * kMiB, plenty);
  std::vector<Location> places;
  for (ClientId client : {kAnn, kBob, kAnn}) {
    const ChunkId id = sealed_chunk(registry, client, 40 * kMiB, 40 * kMiB);
    places.push_back(at(id.value, 0, 40 * kMiB));
    REQUIRE(seal(registry, places.back(), client).is_ok());
  }
  CHECK_FALSE(registry.next_surplus().has_value());
  REQUIRE(free(registry, places[1]).has_value());
  CHECK_FALSE(registry.next_surplus().has_value());  // 40 MiB may stay
  REQUIRE(free(registry, places[0]).has_value());
  REQUIRE(free(registry, places[2]).has_value());
  CHECK(registry.warm() == 120 * kMiB);
  CHECK(*registry.next_surplus() < 0);  // it does not know how late it is
  CHECK(registry.surplus(7 * kSecond).empty());
  CHECK(registry.next_surplus() == 7 * kSecond + kEmptyFor);
  CHECK(registry.surplus(7 * kSecond + kEmptyFor - 1).empty());
  // The longest empty first, whoever writes them.
  CHECK(registry.surplus(7 * kSecond + kEmptyFor) == std::vector<ChunkId>{ChunkId{2}, ChunkId{1}});
  CHECK(registry.retire(ChunkId{2}));
  CHECK_FALSE(registry.retire(ChunkId{2}));
  CHECK(registry.retire(ChunkId{1}));
  CHECK_FALSE(registry.next_surplus().has_value());  // they are on their way
  CHECK(registry.warm() == 120 * kMiB);
  CHECK(registry.give_back(ChunkId{2}, kBob));
  CHECK(registry.warm() == 80 * kMiB);
  CHECK(registry.is_valid());
}

TEST_CASE("registry: a chunk that is used again is not surplus, its neighbour is") {
  Registry registry(1000 * kMiB, plenty);
  std::vector<Location> places;
  for (int i = 0; i < 2; ++i) {
    const ChunkId id = sealed_chunk(registry, kAnn, 100 * kMiB, 100 * kMiB);
    places.push_back(at(id.value, 0, 100 * kMiB));
    REQUIRE(seal(registry, places[i], kAnn).is_ok());
    REQUIRE(free(registry, places[i]).has_value());
  }
  CHECK(registry.surplus(10 * kSecond).empty());
  REQUIRE(seal(registry, places[0], kAnn).is_ok());
  REQUIRE(free(registry, places[0]).has_value());
  CHECK(registry.surplus(11 * kSecond) == std::vector<ChunkId>{places[1].chunk});
  CHECK(registry.surplus(12 * kSecond) == std::vector<ChunkId>{places[1].chunk, places[0].chunk});
}

TEST_CASE("registry: excess is what exceeds an eighth of the live bytes and two of the largest") {
  Registry registry(10'000 * kMiB, plenty);
  std::vector<Location> places;
  for (int i = 0; i < 8; ++i) {
    const ChunkId id = sealed_chunk(registry, kAnn, 20 * kMiB, 20 * kMiB);
    places.push_back(at(id.value, 0, 20 * kMiB));
    REQUIRE(seal(registry, places[i], kAnn).is_ok());
  }
  for (int i = 0; i < 3; ++i) REQUIRE(free(registry, places[i]).has_value());
  CHECK(registry.excess().empty());  // 60 MiB
  REQUIRE(free(registry, places[3]).has_value());
  CHECK(registry.excess() == std::vector<ChunkId>{places[0].chunk});
  SUBCASE("many live bytes") {
    const ChunkId large = sealed_chunk(registry, kBob, 640 * kMiB, 640 * kMiB);
    REQUIRE(seal(registry, at(large.value, 0, 640 * kMiB), kBob).is_ok());
    CHECK(registry.excess().empty());  // 80 of 720 / 8
  }
  SUBCASE("a large empty chunk") {
    const ChunkId large = sealed_chunk(registry, kBob, 70 * kMiB, 70 * kMiB);
    REQUIRE(seal(registry, at(large.value, 0, 70 * kMiB), kBob).is_ok());
    REQUIRE(free(registry, at(large.value, 0, 70 * kMiB)).has_value());
    CHECK(registry.excess() == std::vector<ChunkId>{places[0].chunk});  // 150 of 140
  }
}

TEST_CASE("registry: a chunk in which nothing was ever written is surplus, however small") {
  Registry registry(1000 * kMiB, plenty);
  const ChunkId used = sealed_chunk(registry, kAnn, 256 * kKiB, 10);
  REQUIRE(seal(registry, at(used.value, 0, 10), kAnn).is_ok());
  REQUIRE(free(registry, at(used.value, 0, 10)).has_value());
  CHECK_FALSE(registry.next_surplus().has_value());
  const ChunkId unused = sealed_chunk(registry, kBob, 5 * kMiB, 5 * kMiB);
  CHECK(registry.surplus(kSecond).empty());
  CHECK(registry.surplus(2 * kSecond) == std::vector<ChunkId>{unused});
  CHECK(registry.empty_chunks() == std::vector<ChunkId>{used, unused});
  CHECK(registry.retire(unused));
  CHECK(registry.empty_chunks() == std::vector<ChunkId>{used});
  CHECK_FALSE(registry.next_surplus().has_value());
}

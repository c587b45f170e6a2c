// Tests of registry.h. Writers are arenas, so the chunks carry real seals.
#include "store/registry.h"

#include <vector>

#include "store/arena.h"
#include "store/views.h"
#include "registry_testing.h"
#include "support/faults.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

TEST_CASE("registry: ids count from 1 and are not used again") {
  Registry registry(100 * kMiB, plenty);
  CHECK(registry.grant(kAnn, 256 * kKiB, 1, false)->id == ChunkId{1});
  CHECK(registry.grant(kBob, 256 * kKiB, 1, false)->id == ChunkId{2});
  CHECK(registry.close(ChunkId{2}));
  CHECK(registry.close(ChunkId{1}));
  CHECK(registry.grant(kAnn, 256 * kKiB, 1, false)->id == ChunkId{3});
  CHECK(registry.is_valid());
}

TEST_CASE("registry: a grant charges what it was made for") {
  Registry registry(100 * kMiB, plenty);
  const auto grant = registry.grant(kAnn, 256 * kKiB, 5000, false);
  REQUIRE(grant.is_ok());
  CHECK(grant->size == 256 * kKiB);
  CHECK(registry.size(grant->id) == 256 * kKiB);
  REQUIRE(registry.fd(grant->id) != nullptr);
  CHECK(registry.fd(grant->id)->valid());
  const RegistryStats stats = registry.stats();
  CHECK(stats.budget == 100 * kMiB);
  CHECK(stats.granted == 256 * kKiB);
  CHECK(stats.touched == 8192);
  CHECK(stats.live == 0);
  CHECK(stats.chunks == 1);
  CHECK(stats.largest == 256 * kKiB);
  CHECK(registry.fd(ChunkId{77}) == nullptr);
  CHECK(registry.size(ChunkId{77}) == 0);
  CHECK_FALSE(registry.info(ChunkId{77}).has_value());
}

TEST_CASE("registry: sealing raises the charge to the high-water mark, freeing does not lower it") {
  Registry registry(100 * kMiB, plenty);
  const uint32_t id = sealed_chunk(registry, kAnn, 256 * kKiB, 100).value;
  CHECK(registry.stats().touched == kPage);
  REQUIRE(seal(registry, at(id, 0, 100), kAnn).is_ok());
  CHECK(registry.stats().touched == kPage);
  CHECK(registry.stats().live == 128);
  REQUIRE(seal(registry, at(id, 64 * kKiB, 10'000), kAnn).is_ok());
  CHECK(registry.stats().touched == page_round(64 * kKiB + 10'000));
  CHECK(registry.stats().live == 128 + span_size(10'000));
  const auto freed = free(registry, at(id, 64 * kKiB, 10'000));
  REQUIRE(freed.has_value());
  CHECK(freed->owner == kAnn);
  CHECK_FALSE(freed->orphaned);
  CHECK_FALSE(freed->empty);
  CHECK(registry.stats().touched == page_round(64 * kKiB + 10'000));
  CHECK(free(registry, at(id, 0, 100))->empty);
  CHECK(registry.stats().live == 0);
  CHECK(registry.size(ChunkId{id}) != 0);  // the writer may fill it again
  CHECK(registry.is_valid());
  CHECK(registry.give_back(ChunkId{id}, kAnn));
  CHECK(registry.stats().touched == 0);
}

TEST_CASE("registry: an empty object is an object too") {
  Registry registry(100 * kMiB, plenty);
  const uint32_t id = sealed_chunk(registry, kAnn, 256 * kKiB, 0).value;
  REQUIRE(seal(registry, at(id, 0, 0), kAnn).is_ok());
  CHECK(registry.stats().live == 64);
  CHECK_FALSE(registry.close(ChunkId{id}));
  CHECK(free(registry, at(id, 0, 0))->empty);
  CHECK(registry.close(ChunkId{id}));
}

TEST_CASE("registry: the budget refuses with a sentence") {
  Registry registry(10 * kMiB, plenty);
  REQUIRE(registry.grant(kAnn, 8 * kMiB, 8 * kMiB, false).is_ok());
  const auto full = registry.grant(kBob, 3 * kMiB, 3 * kMiB, false);
  CHECK(full.status().code() == Code::kFull);
  CHECK(
      full.status().message() ==
      "the object store has no room for an object of 3.0 MiB: 8.0 MiB of its 10.0 MiB are in use; "
      "drop references that are no longer needed, or start with a larger object_store_memory");
  const auto never = registry.grant(kBob, 3 * kMiB * 1024, 3 * kMiB * 1024, false);
  CHECK(never.status().code() == Code::kFull);
  CHECK(
      never.status().message() ==
      "an object of 3.0 GiB is larger than the whole object store of 10.0 MiB; start with a larger "
      "object_store_memory");
  CHECK(registry.grant(kBob, UINT64_MAX, UINT64_MAX, false).status().code() == Code::kFull);
  CHECK(registry.grant(kBob, UINT64_MAX, UINT64_MAX, true).status().code() == Code::kFull);
  CHECK(registry.stats().chunks == 1);
  REQUIRE(registry.grant(kBob, 2 * kMiB, 2 * kMiB, false).is_ok());
  CHECK(
      registry.grant(kBob, 256 * kKiB, 1, false).status().message() ==
      "the object store has no room for an object of 1 bytes: 10.0 MiB of its 10.0 MiB are in use; "
      "drop references that are no longer needed, or start with a larger object_store_memory");
  const auto control = registry.grant(kBob, 256 * kKiB, 100 * kKiB, true);
  REQUIRE(control.is_ok());
  CHECK(control->size == 256 * kKiB);  // with room for more of the kind; charged is what is used
  CHECK(registry.stats().touched == 10 * kMiB + 100 * kKiB);
  CHECK(registry.grant(kBob, 256 * kKiB, 1, false).status().code() == Code::kFull);
  CHECK(registry.is_valid());
}

TEST_CASE("registry: grants in flight count before anything is written") {
  Registry registry(10 * kMiB, plenty);
  int granted = 0;
  while (registry.grant(kAnn, kMiB, kMiB, false).is_ok()) ++granted;
  CHECK(granted == 10);
}

TEST_CASE("registry: a shared chunk is cut to the room that is left") {
  Registry registry(5 * kMiB, plenty);
  REQUIRE(registry.grant(kAnn, 4 * kMiB, 4 * kMiB, false).is_ok());
  const auto grant = registry.grant(kBob, 64 * kMiB, 100, false);
  REQUIRE(grant.is_ok());
  CHECK(grant->size == kMiB);
  CHECK(registry.stats().touched == 4 * kMiB + kPage);
}

TEST_CASE("registry: what is moved in a full store has chunks of some size") {
  Registry registry(5 * kMiB, plenty);
  REQUIRE(registry.grant(kAnn, 5 * kMiB, 5 * kMiB, false).is_ok());
  CHECK(registry.grant(kBob, 64 * kMiB, 100, true)->size == kMiB);
  CHECK(registry.grant(kBob, 64 * kMiB, 3 * kMiB, true)->size == 3 * kMiB);
  CHECK(registry.stats().touched == 8 * kMiB + kPage);
}

TEST_CASE("registry: memory that the machine lacks is not granted") {
  uint64_t available = 0;
  Registry registry(100 * kMiB, [&available] { return available; });
  CHECK(registry.grant(kAnn, kMiB, kMiB, false).status().code() == Code::kFull);
  available = 64 * kMiB + kMiB - 1;
  CHECK(
      registry.grant(kAnn, kMiB, kMiB, false).status().message() ==
      "the machine has 65.0 MiB of memory left, too little for an object of 1.0 MiB and a reserve "
      "of 64.0 MiB; end other programs or use fewer workers");
  CHECK(registry.grant(kAnn, kMiB, kMiB, true).status().code() == Code::kFull);
  available += 1;
  CHECK(registry.grant(kAnn, kMiB, kMiB, false).is_ok());
  CHECK(Registry(kMiB).grant(kAnn, kMiB, kMiB, false).is_ok());  // asks the system
}

TEST_CASE("registry: impossible chunk sizes") {
  Registry registry(100 * kMiB, plenty);
  const auto small = registry.grant(kAnn, 100, 200, false);
  CHECK(small.status().code() == Code::kInvalid);
  CHECK(small.status().message() ==
        "client 1 asked for a chunk of 100 bytes to hold an object of 200 bytes");
  CHECK(registry.grant(kAnn, 65 * kMiB, 1, false).status().code() == Code::kInvalid);
  CHECK(registry.grant(kAnn, UINT64_MAX, 1, false).status().code() == Code::kInvalid);
  CHECK(registry.grant(kAnn, 70 * kMiB, 70 * kMiB - 100, false).is_ok());
#ifdef BOLIDE_FAULTS
  const support::FaultPlan faults("memfd.create=fail");
  CHECK(registry.grant(kAnn, kMiB, kMiB, false).status().code() == Code::kSystem);
  CHECK(registry.stats().chunks == 1);
#endif
}

TEST_CASE("registry: what is sealed is checked") {
  Registry registry(100 * kMiB, plenty);
  const uint32_t id = registry.grant(kAnn, 256 * kKiB, 100, false)->id.value;
  const uint64_t size = 256 * kKiB;
  const auto refusal = [&](const Location& where, ClientId owner, Code code) {
    const Status status = seal(registry, where, owner);
    CHECK(status.code() == code);
    CHECK(registry.stats().live == 0);
    return status.message();
  };
  CHECK(refusal(at(id, 0, 100), kAnn, Code::kInvalid) ==
        "object of 100 bytes at offset 0 of chunk 1: the client has not sealed its chunk");
  REQUIRE(os::seal_future_write(*registry.fd(ChunkId{id})).is_ok());
  CHECK(refusal(at(9, 0, 100), kAnn, Code::kNotFound) ==
        "object of 100 bytes at offset 0 of chunk 9: there is no such chunk");
  CHECK(
      refusal(at(id, 0, 100), kBob, Code::kInvalid) ==
      "object of 100 bytes at offset 0 of chunk 1: the chunk belongs to client 1, not to client 2");
  CHECK(
      refusal(at(id, size, 64), kAnn, Code::kInvalid) ==
      "object of 64 bytes at offset 262144 of chunk 1: the chunk has 262144 bytes, 0 of them live, "
      "and objects begin at multiples of 64");
  refusal(at(id, 0, size + 1), kAnn, Code::kInvalid);
  refusal(at(id, 1, 64), kAnn, Code::kInvalid);                 // not aligned
  refusal(at(id, size, 0), kAnn, Code::kInvalid);               // an empty object past the end
  refusal(at(id, 64, UINT64_MAX), kAnn, Code::kInvalid);        // rounding up would overflow
  refusal(at(id, UINT64_MAX - 63, 128), kAnn, Code::kInvalid);  // the sum is 64
  REQUIRE(seal(registry, at(id, 0, size), kAnn).is_ok());
  CHECK(seal(registry, at(id, 0, 64), kAnn).code() == Code::kInvalid);  // more than there is
  CHECK(registry.stats().live == size);
  CHECK(registry.is_valid());
}

TEST_CASE("registry: what is freed is checked") {
  Registry registry(100 * kMiB, plenty);
  const uint32_t id = sealed_chunk(registry, kAnn, 256 * kKiB, 100).value;
  REQUIRE(seal(registry, at(id, 0, 100), kAnn).is_ok());
  CHECK_FALSE(free(registry, at(9, 0, 100)).has_value());
  CHECK_FALSE(free(registry, at(id, 0, 129)).has_value());  // more than is live
  CHECK_FALSE(free(registry, at(id, 0, UINT64_MAX)).has_value());
  CHECK(free(registry, at(id, 0, 100)).has_value());
  CHECK_FALSE(free(registry, at(id, 0, 100)).has_value());
  CHECK(registry.is_valid());
}

TEST_CASE("registry: an orphaned chunk lives as long as its objects") {
  Registry registry(100 * kMiB, plenty);
  const ChunkId used = sealed_chunk(registry, kAnn, 256 * kKiB, 100);
  const ChunkId empty_1 = sealed_chunk(registry, kAnn, 256 * kKiB, 100);
  const ChunkId other = sealed_chunk(registry, kBob, 256 * kKiB, 100);
  const ChunkId empty_2 = sealed_chunk(registry, kAnn, kMiB, kMiB);
  REQUIRE(seal(registry, at(used.value, 0, 100), kAnn).is_ok());
  REQUIRE(seal(registry, at(used.value, 128, 200), kAnn).is_ok());
  CHECK(registry.orphan(kAnn) == std::vector<ChunkId>{empty_1, empty_2});
  CHECK(registry.orphan(kAnn).empty());
  CHECK(registry.orphan(ClientId{99}).empty());
  CHECK(registry.info(used)->orphaned);
  CHECK_FALSE(registry.info(other)->orphaned);
  CHECK(registry.is_valid());
  CHECK_FALSE(registry.close(used));
  auto freed = free(registry, at(used.value, 0, 100));
  REQUIRE(freed.has_value());
  CHECK(freed->orphaned);
  CHECK_FALSE(freed->empty);
  freed = free(registry, at(used.value, 128, 200));
  CHECK(freed->orphaned);
  CHECK(freed->empty);
  CHECK(freed->owner == kAnn);
  CHECK_FALSE(registry.info(used).has_value());  // closed by the last free
  CHECK(registry.stats().chunks == 1);
  CHECK(registry.stats().touched == kPage);
}

TEST_CASE("registry: a chunk is given back by its owner alone, and only when empty") {
  Registry registry(100 * kMiB, plenty);
  const ChunkId id = sealed_chunk(registry, kAnn, 256 * kKiB, 100);
  CHECK_FALSE(registry.give_back(id, kBob));
  CHECK_FALSE(registry.give_back(ChunkId{5}, kAnn));
  REQUIRE(seal(registry, at(id.value, 0, 1), kAnn).is_ok());
  CHECK_FALSE(registry.give_back(id, kAnn));
  REQUIRE(free(registry, at(id.value, 0, 1)).has_value());
  CHECK(registry.give_back(id, kAnn));
  CHECK_FALSE(registry.close(id));
}

TEST_CASE("registry: the list of chunks says who holds what") {
  Registry registry(100 * kMiB, plenty);
  const ChunkId first = sealed_chunk(registry, kAnn, 256 * kKiB, 100);
  const ChunkId second = sealed_chunk(registry, kBob, 2 * kMiB, 2 * kMiB);
  REQUIRE(seal(registry, at(second.value, 0, 2 * kMiB), kBob).is_ok());
  const std::vector<ChunkInfo> chunks = registry.chunks();
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].id == first);
  CHECK(chunks[0].owner == kAnn);
  CHECK(chunks[0].touched == kPage);
  CHECK(chunks[1].id == second);
  CHECK(chunks[1].owner == kBob);
  CHECK(chunks[1].size == 2 * kMiB);
  CHECK(chunks[1].live == 2 * kMiB);
}

TEST_CASE("registry: a view is readable after the chunk was closed") {
  Registry registry(100 * kMiB, plenty);
  Arena arena;
  Views views;
  const auto grant = registry.grant(kAnn, kMiB, kMiB, false);
  REQUIRE(arena.add_chunk(grant->id, *registry.fd(grant->id), grant->size).is_ok());
  const auto slot = arena.allocate(kMiB);
  REQUIRE(slot.has_value());
  slot->data[kMiB - 1] = std::byte{5};
  REQUIRE(seal(registry, slot->where, kAnn).is_ok());
  REQUIRE(views.add(grant->id, *registry.fd(grant->id), grant->size).is_ok());
  const std::byte* seen = views.resolve_pinned(slot->where);
  REQUIRE(seen != nullptr);
  CHECK(free(registry, slot->where)->empty);
  CHECK(arena.free(slot->where));
  for (ChunkId id : arena.give_back_all_empty()) CHECK(registry.give_back(id, kAnn));
  CHECK(registry.stats().chunks == 0);
  CHECK_FALSE(views.drop(grant->id));
  CHECK(seen[kMiB - 1] == std::byte{5});
  CHECK(views.unpin(grant->id));
  CHECK(views.mapped_bytes() == 0);
}

TEST_CASE("registry: it knows which objects lie in a chunk") {
  Registry registry(100 * kMiB, plenty);
  const ChunkId id = sealed_chunk(registry, kAnn, 256 * kKiB, 100);
  CHECK(registry.objects(id).empty());
  CHECK(registry.objects(ChunkId{9}).empty());
  for (uint64_t offset : {uint64_t{640}, uint64_t{0}, uint64_t{128 * kKiB}}) {
    REQUIRE(seal(registry, at(id.value, offset, 100), kAnn).is_ok());
  }
  REQUIRE(free(registry, at(id.value, 640, 100)).has_value());
  const std::vector<Lodger> lodgers = registry.objects(id);
  REQUIRE(lodgers.size() == 2);
  CHECK(lodgers[0].offset == 0);
  CHECK(lodgers[0].object == id_of(at(id.value, 0, 100)));
  CHECK(lodgers[1].offset == 128 * kKiB);
  CHECK_FALSE(registry.free_object(at(id.value, 0, 100), lodgers[1].object).has_value());
}

TEST_CASE("registry: an object that gets another id is found under that one") {
  Registry registry(100 * kMiB, plenty);
  const ChunkId id = sealed_chunk(registry, kAnn, kMiB, kMiB);
  const Location where = at(id.value, 64, 100);
  REQUIRE(registry.seal_object(where, kAnn, ObjectId{5}).is_ok());
  registry.rename_object(where, ObjectId{5}, ObjectId{9});
  CHECK_FALSE(registry.free_object(where, ObjectId{5}).has_value());
  CHECK(registry.objects(id).front().object == ObjectId{9});
  CHECK(registry.free_object(where, ObjectId{9}).has_value());
}

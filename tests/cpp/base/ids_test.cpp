// Ids: the layout [client:24][counter:40], types that do not mix, hashes that spread.
#include "base/ids.h"

#include <doctest/doctest.h>

#include <set>
#include <type_traits>
#include <unordered_set>

#include "support/forked.h"

using namespace bolide;

static_assert(!std::is_convertible_v<ObjectId, ClientId> && !std::is_same_v<ClientId, WorkerId>);
static_assert(!std::is_convertible_v<uint64_t, ObjectId> || std::is_aggregate_v<ObjectId>);

TEST_CASE("an object id packs its client above a 40-bit counter") {
  ObjectId id = make_object_id(ClientId{0x123456}, 0x789abcdef0);
  CHECK(id.value == 0x123456789abcdef0);
  CHECK(client_of(id) == ClientId{0x123456});
  CHECK(counter_of(id) == 0x789abcdef0);
  ObjectId last = make_object_id(ClientId{kMaxClient}, kMaxObjectCounter);
  CHECK(last.value == UINT64_MAX);
  CHECK(client_of(last).value == kMaxClient);
  CHECK(counter_of(last) == kMaxObjectCounter);
}

TEST_CASE("returns of a task follow its id") {
  ObjectId task = make_object_id(ClientId{1}, 10);
  CHECK(return_of(task, 0) == task);
  CHECK(return_of(task, 3) == make_object_id(ClientId{1}, 13));
}

TEST_CASE("ids compare by value and the default one names nothing") {
  CHECK(ObjectId{} == kNoObject);
  CHECK(ObjectId{1} != ObjectId{2});
  CHECK(ObjectId{1} < ObjectId{2});
  CHECK(WorkerId{3} >= WorkerId{3});
}

TEST_CASE("hashes of dense ids differ in their low bits") {
  std::unordered_set<ObjectId> ids;
  std::set<size_t> low;
  for (uint64_t i = 0; i < 4096; ++i) {
    ids.insert(make_object_id(ClientId{1}, i));
    low.insert(std::hash<ObjectId>()(make_object_id(ClientId{1}, i)) & 0xffff);
  }
  CHECK(ids.size() == 4096);
  CHECK(low.size() > 3900);  // 4096 balls in 65536 bins: about 3970 bins are hit
  CHECK(std::hash<ChunkId>()(ChunkId{1}) != std::hash<ChunkId>()(ChunkId{2}));
}

#ifdef BOLIDE_DEBUG_CHECKS
TEST_CASE("a client or counter that does not fit is a failed check") {
  CHECK(support::forked([] {
          return make_object_id(ClientId{kMaxClient + 1}, 0).value == 0;
        }).said("a client id has 24 bits"));
  CHECK(support::forked([] {
          return make_object_id(ClientId{0}, kMaxObjectCounter + 1).value == 0;
        }).said("an object counter has 40 bits"));
}
#endif

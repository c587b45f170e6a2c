// Objects: the counts of references joined with the bytes. What a container holds, what a release
// frees and in which chunk, and a random walk against a model. Chunks carry real seals.
#include "node/objects.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ipc/records.h"
#include "store/store_testing.h"

using namespace bolide;
using namespace bolide::node;
using namespace bolide::store::testing;
using store::Holding;
using store::kKiB;
using store::kMiB;
using store::ObjectEntry;

namespace {

constexpr ClientId kAnn{1};
constexpr ClientId kBob{2};

// Writes down what Objects tells its owner.
class Owner final : public ObjectsOwner {
 public:
  void span_freed(ClientId owner, const Location& where) override {
    spans.push_back({owner.value, where.chunk.value, where.offset});
  }
  void chunk_closed(ChunkId chunk) override { closed.push_back(chunk.value); }
  void store_changed() override {}
  void function_freed(ObjectId function) override { functions.push_back(function); }
  void actor_freed(ObjectId actor) override { actors.push_back(actor); }
  void group_freed(ObjectId group) override { groups.push_back(group); }
  void place_freed(ObjectId object, store::SpillPlace) override { places.push_back(object); }
  void stream_freed(ObjectId stream) override { streams.push_back(stream); }

  std::vector<std::vector<uint64_t>> spans;
  std::vector<uint32_t> closed;
  std::vector<ObjectId> functions;
  std::vector<ObjectId> actors;
  std::vector<ObjectId> groups;
  std::vector<ObjectId> places;
  std::vector<ObjectId> streams;
};

struct Node {
  Owner owner;
  Objects objects{100 * kMiB, owner};
  uint64_t counter = 0;

  void put_away(ObjectEntry* entry) {
    objects.keep_place(entry, store::SpillPlace());
    REQUIRE(entry->presence.depart());
    objects.put_away(entry);
  }

  ObjectEntry* value(uint32_t refs = 1, uint8_t flags = 0) {
    ObjectEntry* entry = objects.add(make_object_id(kAnn, ++counter), refs);
    objects.table().set_inline(entry, "x", 1, flags);
    return entry;
  }

  ObjectEntry* container(const std::vector<ObjectEntry*>& inner) {
    std::vector<uint64_t> ids;
    for (ObjectEntry* entry : inner) ids.push_back(entry->id.value);
    ObjectEntry* entry = value();
    REQUIRE(objects.hold_contained(entry, ids.data(), static_cast<uint32_t>(ids.size())).is_ok());
    return entry;
  }

  uint32_t sealed_chunk(ClientId client) {
    auto grant = objects.registry().grant(client, 256 * kKiB, 64, false);
    REQUIRE(grant.is_ok());
    REQUIRE(os::seal_future_write(*objects.registry().fd(grant->id)).is_ok());
    return grant->id.value;
  }

  ObjectEntry* stored(uint32_t chunk, uint64_t offset, ClientId client) {
    ObjectEntry* entry = objects.add(make_object_id(client, ++counter), 1);
    REQUIRE(objects.seal(entry, at(chunk, offset, 64), client, 0).is_ok());
    return entry;
  }

  size_t size() { return objects.table().size(); }
  uint64_t live() { return objects.registry().stats().live; }
};

}  // namespace

TEST_CASE("objects: an object goes with its last reference") {
  Node node;
  ObjectEntry* entry = node.value(2);
  const ObjectId id = entry->id;
  CHECK(node.objects.find(id) == entry);
  node.objects.release(entry);
  CHECK(node.objects.find(id) == entry);
  CHECK(entry->refs == 1);
  node.objects.release(entry);
  CHECK(node.objects.find(id) == nullptr);
  CHECK(node.owner.functions.empty());
  CHECK(node.owner.spans.empty());
}

TEST_CASE("objects: a container holds what it contains until it goes itself") {
  Node node;
  ObjectEntry* shared = node.value();
  ObjectEntry* only = node.value();
  ObjectEntry* container = node.container({shared, only, shared});
  CHECK(shared->refs == 3);
  CHECK(only->refs == 2);
  node.objects.release(only);
  CHECK(node.size() == 3);
  node.objects.release(container);
  CHECK(node.size() == 1);
  CHECK(shared->refs == 1);
  node.objects.release(shared);
  CHECK(node.size() == 0);
}

TEST_CASE("objects: a value may contain nothing") {
  Node node;
  ObjectEntry* entry = node.value();
  CHECK(node.objects.hold_contained(entry, nullptr, 0).is_ok());
  CHECK((entry->flags & store::kHasContained) == 0);
}

TEST_CASE("objects: an id that is gone is refused, and nothing is held then") {
  Node node;
  ObjectEntry* first = node.value();
  ObjectEntry* second = node.value();
  ObjectEntry* entry = node.value();
  const uint64_t gone = make_object_id(kBob, 77).value;
  for (const std::vector<uint64_t>& ids :
       {std::vector<uint64_t>{gone}, std::vector<uint64_t>{first->id.value, second->id.value, gone},
        std::vector<uint64_t>{first->id.value, gone, first->id.value}}) {
    const Status held =
        node.objects.hold_contained(entry, ids.data(), static_cast<uint32_t>(ids.size()));
    CHECK(held.code() == Code::kInvalid);
    CHECK(held.message() == "a value contains a reference to an object that is gone");
    CHECK(first->refs == 1);
    CHECK(second->refs == 1);
    CHECK(node.objects.table().contained(entry) == nullptr);
  }
  CHECK(node.size() == 3);
}

TEST_CASE("objects: a long chain and a wide tree go without recursion") {
  Node node;
  ObjectEntry* last = node.value();
  for (int i = 0; i < 50'000; ++i) {
    ObjectEntry* next = node.container({last});
    node.objects.release(last);
    last = next;
  }
  std::vector<ObjectEntry*> leaves;
  for (int i = 0; i < 5'000; ++i) leaves.push_back(node.value());
  ObjectEntry* wide = node.container(leaves);
  for (ObjectEntry* leaf : leaves) node.objects.release(leaf);
  CHECK(node.size() == 55'002);
  node.objects.release(last);
  CHECK(node.size() == 5'001);
  node.objects.release(wide);
  CHECK(node.size() == 0);
}

TEST_CASE("objects: the end of a function is told, also of one within a container") {
  Node node;
  ObjectEntry* function = node.value(1, ipc::kFunction);
  const ObjectId id = function->id;
  ObjectEntry* container = node.container({function});
  node.objects.release(function);
  CHECK(node.owner.functions.empty());
  node.objects.release(container);
  CHECK(node.owner.functions == std::vector<ObjectId>{id});
}

TEST_CASE("objects: the end of the last handle of a stream, an actor or a placement group is told") {
  Node node;
  const std::vector<ObjectId>* told[] = {&node.owner.streams, &node.owner.actors, &node.owner.groups};
  const uint8_t kinds[] = {ipc::kStream, ipc::kActor, ipc::kGroup};
  for (int i = 0; i < 3; ++i) {
    ObjectEntry* entry = node.value(2, kinds[i]);
    const ObjectId id = entry->id;
    node.objects.release(entry);
    CHECK(told[i]->empty());
    node.objects.release(entry);
    CHECK(*told[i] == std::vector<ObjectId>{id});
  }
}

TEST_CASE("objects: a stored value is booked with the chunk, and refused if it cannot be there") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kAnn);
  ObjectEntry* entry = node.objects.add(make_object_id(kAnn, ++node.counter), 1);
  CHECK(node.objects.seal(entry, at(chunk + 1, 0, 64), kAnn, 0).code() == Code::kNotFound);
  CHECK(node.objects.seal(entry, at(chunk, 256 * kKiB, 64), kAnn, 0).code() == Code::kInvalid);
  CHECK(node.objects.seal(entry, at(chunk, 0, 64), kBob, 0).code() == Code::kInvalid);
  CHECK_FALSE(entry->ready());
  CHECK(node.live() == 0);
  REQUIRE(node.objects.seal(entry, at(chunk, 128, 64), kAnn, ipc::kError).is_ok());
  CHECK(entry->ready());
  CHECK(entry->holding == Holding::kStored);
  CHECK(entry->value_flags == ipc::kError);
  CHECK(node.live() == 64);
}

TEST_CASE("objects: a living client gets its span back") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kBob);
  ObjectEntry* entry = node.stored(chunk, 640, kBob);
  ObjectEntry* container = node.container({entry});
  node.objects.release(entry);
  CHECK(node.owner.spans.empty());
  node.objects.release(container);
  CHECK(node.owner.spans == std::vector<std::vector<uint64_t>>{{kBob.value, chunk, 640}});
  CHECK(node.owner.closed.empty());
  CHECK(node.live() == 0);
  CHECK(node.objects.registry().size(ChunkId{chunk}) != 0);  // the writer keeps it
}

TEST_CASE("objects: a stored value that enters under another id is freed under that") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kBob);
  ObjectEntry* entry = node.objects.table().add_apart(make_object_id(kBob, 1));
  entry->refs = 1;
  REQUIRE(node.objects.seal(entry, at(chunk, 128, 64), kBob, 0).is_ok());
  node.objects.enter(entry, make_object_id(kAnn, 2));
  CHECK(node.objects.find(make_object_id(kAnn, 2)) == entry);
  ObjectEntry* small = node.objects.table().add_apart(make_object_id(kBob, 3));
  small->refs = 1;
  node.objects.table().set_inline(small, "x", 1, 0);
  node.objects.enter(small, small->id);
  node.objects.release(small);
  node.objects.release(entry);
  CHECK(node.owner.spans == std::vector<std::vector<uint64_t>>{{kBob.value, chunk, 128}});
  CHECK(node.live() == 0);
}

TEST_CASE("objects: a value that is moved leaves its former place, unless it cannot be there") {
  Node node;
  const uint32_t from = node.sealed_chunk(kBob);
  const uint32_t to = node.sealed_chunk(kAnn);
  ObjectEntry* entry = node.stored(from, 640, kBob);
  CHECK(node.objects.move_stored(entry, at(to, 256 * kKiB, 64), kAnn).code() == Code::kInvalid);
  CHECK(entry->where.chunk == ChunkId{from});
  CHECK(node.owner.spans.empty());
  REQUIRE(node.objects.move_stored(entry, at(to, 64, 64), kAnn).is_ok());
  CHECK(entry->where.chunk == ChunkId{to});
  CHECK(entry->where.offset == 64);
  CHECK(node.owner.spans == std::vector<std::vector<uint64_t>>{{kBob.value, from, 640}});
  node.objects.release(entry);
  CHECK(node.live() == 0);
}

TEST_CASE("objects: a value that is put away comes back, and its place on the disk goes with it") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kBob);
  ObjectEntry* entry = node.stored(chunk, 0, kBob);
  ObjectEntry* another = node.stored(chunk, 64, kBob);
  const ObjectId id = entry->id;
  CHECK(node.objects.place_of(entry) == nullptr);
  node.put_away(entry);
  CHECK(node.objects.place_of(entry) != nullptr);
  CHECK(node.live() == 64);
  CHECK(node.objects.bring_back(entry, at(chunk, 256 * kKiB, 64), kBob).code() == Code::kInvalid);
  CHECK(entry->presence.is_away());
  REQUIRE(node.objects.bring_back(entry, at(chunk, 128, 64), kBob).is_ok());
  CHECK_FALSE(entry->presence.is_away());
  CHECK(node.live() == 128);
  node.objects.release(another);  // it was never on the disk
  CHECK(node.owner.places.empty());
  node.objects.release(entry);
  CHECK(node.owner.places == std::vector<ObjectId>{id});
  CHECK(node.objects.spilled_objects() == 0);
  CHECK(node.live() == 0);
}

TEST_CASE("objects: a value that is away when it goes has no place in memory to give back") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kBob);
  ObjectEntry* entry = node.stored(chunk, 0, kBob);
  node.put_away(entry);
  node.objects.release(entry);
  CHECK(node.owner.spans.size() == 1);
  CHECK(node.owner.places.size() == 1);
  CHECK(node.size() == 0);
}

TEST_CASE("objects: a dead client's chunk is closed with its last object") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kBob);
  ObjectEntry* first = node.stored(chunk, 0, kBob);
  ObjectEntry* second = node.stored(chunk, 64, kBob);
  CHECK(node.objects.registry().orphan(kBob).empty());
  node.objects.release(first);
  CHECK(node.owner.closed.empty());
  node.objects.release(second);
  CHECK(node.owner.closed == std::vector<uint32_t>{chunk});
  CHECK(node.owner.spans.empty());
  CHECK(node.objects.registry().stats().chunks == 0);
}

TEST_CASE("objects: bytes that the registry has let go of are not given back twice") {
  Node node;
  const uint32_t chunk = node.sealed_chunk(kAnn);
  ObjectEntry* entry = node.stored(chunk, 0, kAnn);
  REQUIRE(node.objects.registry().free_object(entry->where, entry->id).has_value());
  REQUIRE(node.objects.registry().close(ChunkId{chunk}));
  node.objects.release(entry);
  CHECK(node.owner.spans.empty());
  CHECK(node.owner.closed.empty());
  CHECK(node.size() == 0);
}

// ---- against a model

namespace {

// Recounts invariant 1 from what the walk holds and what containers contain.
void check(Node& node, const std::multiset<uint64_t>& held,
           const std::map<uint64_t, std::vector<uint64_t>>& contents) {
  std::map<uint64_t, uint32_t> counts;
  for (uint64_t id : held) ++counts[id];
  std::vector<uint64_t> reached(held.begin(), held.end());
  std::set<uint64_t> seen;
  while (!reached.empty()) {
    const uint64_t id = reached.back();
    reached.pop_back();
    if (!seen.insert(id).second) continue;
    for (uint64_t inner : contents.at(id)) {
      ++counts[inner];
      reached.push_back(inner);
    }
  }
  REQUIRE(node.size() == seen.size());
  uint64_t live = 0;
  for (uint64_t id : seen) {
    ObjectEntry* entry = node.objects.find(ObjectId{id});
    REQUIRE(entry != nullptr);
    REQUIRE(entry->refs == counts[id]);
    if (entry->holding == Holding::kStored) live += 64;
  }
  REQUIRE(node.live() == live);
  REQUIRE(node.objects.registry().is_valid());
}

}  // namespace

TEST_CASE("objects: a random walk of puts, containers, releases and deaths agrees with a model") {
  for_seeds(10, [](std::mt19937_64& random) {
    Node node;
    std::multiset<uint64_t> held;
    std::map<uint64_t, std::vector<uint64_t>> contents;
    uint32_t chunk = node.sealed_chunk(kBob);
    uint64_t offset = 0;
    for (int step = 0; step < 600; ++step) {
      const uint64_t action = below(random, 10);
      if (action < 5) {
        ObjectEntry* entry = nullptr;
        if (below(random, 3) == 0) {
          entry = node.stored(chunk, offset, kBob);
          offset += 64;
        } else {
          entry = node.value();
        }
        std::vector<uint64_t>& ids = contents[entry->id.value];
        for (uint64_t i = held.empty() ? 0 : below(random, 4); i > 0; --i) {
          ids.push_back(*std::next(held.begin(), static_cast<long>(below(random, held.size()))));
        }
        REQUIRE(node.objects.hold_contained(entry, ids.data(), static_cast<uint32_t>(ids.size()))
                    .is_ok());
        held.insert(entry->id.value);
      } else if (action < 9 && !held.empty()) {
        const auto any = std::next(held.begin(), static_cast<long>(below(random, held.size())));
        ObjectEntry* entry = node.objects.find(ObjectId{*any});
        held.erase(any);
        node.objects.release(entry);
      } else if (below(random, 10) == 0) {  // the writer dies, another comes
        node.objects.registry().orphan(kBob);
        chunk = node.sealed_chunk(kBob);
        offset = 0;
      }
      if (step % 50 == 0) check(node, held, contents);
    }
    while (!held.empty()) {
      ObjectEntry* entry = node.objects.find(ObjectId{*held.begin()});
      held.erase(held.begin());
      node.objects.release(entry);
    }
    check(node, held, contents);
  });
}

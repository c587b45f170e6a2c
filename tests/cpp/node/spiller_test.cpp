// Tests of spiller.h, on a store without a node (store_world.h).
#include "node/spiller.h"

#include <vector>

#include "ipc/records.h"
#include "node/system_error.h"
#include "store_world.h"

using namespace bolide;
using namespace bolide::node;
using namespace bolide::node::testing;

namespace {

constexpr ClientId kAnn{2};

std::vector<ObjectEntry*> put_many(StoreWorld& world, ClientId client, int count, uint64_t size) {
  std::vector<ObjectEntry*> entries;
  for (int i = 0; i < count; ++i) entries.push_back(world.put(client, size));
  return entries;
}

// Until nothing is left that could go, and all empty chunks have been given back.
void spill_all(StoreWorld& world) {
  while (world.spill(100 * kMiB)) {
  }
}

bool is_away(const ObjectEntry* entry) {
  return entry->presence.is_away();
}

}  // namespace

TEST_CASE("spiller: what has not changed for the longest time goes first, and some more") {
  StoreWorld world(80 * kMiB);
  const auto all = put_many(world, kAnn, 16, 5 * kMiB);
  CHECK(world.stats().touched >= 80 * kMiB);
  CHECK(world.spill(5 * kMiB));
  CHECK(is_away(all[0]));
  CHECK(is_away(all[1]));
  CHECK(is_away(all[2]));
  CHECK_FALSE(is_away(all[4]));
  CHECK(world.objects.spilled_bytes() == 5 * kMiB * world.objects.spilled_objects());
  CHECK(world.stats().touched - world.stats().warm <= 65 * kMiB);
  CHECK(world.is_valid());
}

TEST_CASE("spiller: what somebody waits for goes last, what lies on the disk already first") {
  StoreWorld world(80 * kMiB);
  const auto all = put_many(world, kAnn, 15, 5 * kMiB);
  for (size_t i = 0; i < 5; ++i) ++all[i]->refs;  // tasks wait for the oldest
  CHECK(world.spill(5 * kMiB));
  CHECK_FALSE(is_away(all[0]));
  CHECK(is_away(all[5]));
  CHECK(world.fetch(all[5]));  // now it is the youngest
  CHECK(world.spill(25 * kMiB));  // more than the empty chunks have
  CHECK(is_away(all[5]));
  for (size_t i = 0; i < 5; ++i) {
    CHECK_FALSE(is_away(all[i]));
    --all[i]->refs;
  }
  CHECK(world.is_valid());
}

TEST_CASE("spiller: what comes back is what went, whatever its size") {
  StoreWorld world(200 * kMiB);
  std::vector<ObjectEntry*> all;
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{63}, 5 * kKiB, 900 * kKiB, 3 * kMiB}) {
    for (ClientId writer : {kAnn, kNode}) all.push_back(world.put(writer, size));
  }
  CHECK(world.spill(100 * kMiB));
  for (ObjectEntry* entry : all) {
    CHECK(is_away(entry));
    CHECK_FALSE(world.view(entry));
  }
  CHECK(world.stats().live == 0);
  for (ObjectEntry* entry : all) {
    REQUIRE(world.fetch(entry));
    REQUIRE(world.view(entry));
    world.unview(entry);
  }
  // They are not written again when they go again.
  const uint64_t written = world.spiller.bytes_written();
  CHECK(world.spill(100 * kMiB));
  for (ObjectEntry* entry : all) CHECK(is_away(entry));
  CHECK(world.spiller.bytes_written() == written);
  for (ObjectEntry* entry : all) REQUIRE(world.fetch(entry));
  for (ObjectEntry* entry : all) world.drop(entry);
  CHECK(world.stats().live == 0);
  CHECK(world.objects.spilled_objects() == 0);
  CHECK(world.objects.spilled_bytes() == 0);
}

TEST_CASE("spiller: what is dropped while it is on the disk takes no space there") {
  StoreWorld world(50 * kMiB);
  const auto all = put_many(world, kAnn, 9, 5 * kMiB);
  CHECK(world.spill(30 * kMiB));
  CHECK(world.objects.spilled_objects() > 4);
  for (ObjectEntry* entry : all) world.drop(entry);
  CHECK(world.objects.spilled_objects() == 0);
  CHECK(world.objects.spilled_bytes() == 0);
  CHECK(world.objects.table().size() == 0);
}

TEST_CASE("spiller: views, readers and what the node looks into stay") {
  StoreWorld world(50 * kMiB);
  const auto all = put_many(world, kAnn, 9, 5 * kMiB);
  REQUIRE(world.view(all[0]));
  world.tell(all[1], false);
  world.tell(all[2], true);
  all[3]->value_flags = ipc::kFunction;
  all[4]->value_flags = ipc::kError;  // its dependents fail like it
  spill_all(world);
  CHECK_FALSE(is_away(all[0]));
  CHECK_FALSE(is_away(all[1]));
  CHECK(is_away(all[2]));
  CHECK_FALSE(is_away(all[3]));
  CHECK_FALSE(is_away(all[4]));
  for (size_t i = 5; i < all.size(); ++i) CHECK(is_away(all[i]));
  world.unview(all[0]);
  spill_all(world);
  CHECK(is_away(all[0]));
  CHECK(world.stats().touched == 15 * kMiB);
  all[3]->value_flags = all[4]->value_flags = 0;
}

TEST_CASE("spiller: a value waits for room to come back, and gives up when nothing becomes free") {
  StoreWorld world(50 * kMiB);
  ObjectEntry* first = world.put(kAnn, 20 * kMiB);
  spill_all(world);
  REQUIRE(is_away(first));
  const auto viewed = put_many(world, kAnn, 8, 5 * kMiB);
  for (ObjectEntry* entry : viewed) REQUIRE(world.view(entry));
  CHECK_FALSE(world.fetch(first));
  {
    MutexLock lock(world.mutex);
    const std::string* why = world.spiller.failure(first->id);
    REQUIRE(why != nullptr);
    const Status status = decode_system_error(*why);
    CHECK(status.code() == Code::kFull);
    CHECK(status.message().find("no room for an object of 20.0 MiB") != std::string::npos);
  }
  for (ObjectEntry* entry : viewed) world.unview(entry);
  CHECK(world.fetch(first));
  REQUIRE(world.view(first));
  world.unview(first);
}

TEST_CASE("spiller: a disk that cannot be written leaves everything where it is") {
  StoreWorld world(50 * kMiB, "/nonexistent");
  const auto all = put_many(world, kAnn, 9, 5 * kMiB);
  CHECK_FALSE(world.spill(10 * kMiB));
  CHECK(world.spill_errors.size() == 1);  // one attempt a look
  for (const store::ChunkInfo& chunk : world.objects.registry().chunks()) CHECK_FALSE(chunk.retired);
  for (ObjectEntry* entry : all) {
    REQUIRE(world.view(entry));
    world.unview(entry);
  }
  CHECK(world.is_valid());
}

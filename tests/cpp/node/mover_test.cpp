// Mover: chunks with many holes are emptied and closed; what is read, viewed or known elsewhere
// stays where it is; and whatever happens during a copy, values stay right.
#include "node/mover.h"

#include <atomic>
#include <random>
#include <thread>

#include "store_world.h"
#include "support/faults.h"
#include "support/seeds.h"

using namespace bolide;
using namespace bolide::node;
using namespace bolide::node::testing;

namespace {

constexpr ClientId kAnn{2};
constexpr ClientId kBob{3};

// Objects of 100 KiB by `client` until its chunks have `bytes`.
std::vector<ObjectEntry*> fill(StoreWorld& world, ClientId client, uint64_t bytes) {
  std::vector<ObjectEntry*> entries;
  for (uint64_t at = 0; at < bytes; at += 100 * kKiB) {
    entries.push_back(world.put(client, 100 * kKiB));
  }
  return entries;
}

// Drops all but every nth of them; what is left.
std::vector<ObjectEntry*> thin_out(StoreWorld& world, std::vector<ObjectEntry*> entries, size_t n) {
  std::vector<ObjectEntry*> left;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i % n == 0) {
      left.push_back(entries[i]);
    } else {
      world.drop(entries[i]);
    }
  }
  return left;
}

double ratio(StoreWorld& world) {
  const store::RegistryStats stats = world.stats();
  return static_cast<double>(stats.live) / static_cast<double>(stats.touched - stats.warm);
}

void check_all(StoreWorld& world, const std::vector<ObjectEntry*>& entries) {
  for (ObjectEntry* entry : entries) {
    REQUIRE(world.view(entry));
    world.unview(entry);
  }
  CHECK(world.is_valid());
}

}  // namespace

TEST_CASE("mover: chunks less than half live are emptied and closed") {
  StoreWorld world;
  for (ClientId writer : {kAnn, kNode}) {
    const auto left = thin_out(world, fill(world, writer, 40 * kMiB), 5);
    CHECK(ratio(world) < 0.25);
    world.compact();
    CHECK(ratio(world) >= 0.8);
    check_all(world, left);
    for (ObjectEntry* entry : left) world.drop(entry);
    CHECK(world.stats().live == 0);
  }
  // Ann has nothing left but what she may yet fill.
  CHECK(world.arenas[kAnn].stats().mapped <= 16 * kMiB);
}

TEST_CASE("mover: chunks that are well filled stay as they are") {
  StoreWorld world;
  const auto all = fill(world, kAnn, 20 * kMiB);
  const ChunkId chunk = all.front()->where.chunk;
  world.drop(all.back());
  world.compact();
  CHECK(all.front()->where.chunk == chunk);
  CHECK(world.arenas[kNode].stats().chunks == 0);
}

TEST_CASE("mover: holes of a dead client are not kept") {
  StoreWorld world;
  auto left = thin_out(world, fill(world, kAnn, 10 * kMiB), 3);
  world.kill(kAnn);
  world.compact();
  check_all(world, left);
  for (ObjectEntry* entry : left) CHECK(client_of(entry->id) == kAnn);
  for (const auto& chunk : world.objects.registry().chunks()) CHECK(chunk.owner == kNode);
}

TEST_CASE("mover: a chunk with an object that is viewed stays until it is not") {
  StoreWorld world;
  const auto left = thin_out(world, fill(world, kAnn, 4 * kMiB), 10);
  for (ObjectEntry* entry : left) REQUIRE(world.view(entry));
  world.compact();
  for (ObjectEntry* entry : left) {
    world.check_bytes(entry);
    CHECK(world.objects.registry().info(entry->where.chunk)->owner == kAnn);
    world.unview(entry);
  }
  world.compact();
  for (ObjectEntry* entry : left) {
    CHECK(world.objects.registry().info(entry->where.chunk)->owner == kNode);
  }
  check_all(world, left);
}

TEST_CASE("mover: an object without a name stays until it has got one") {
  StoreWorld world;
  const auto all = fill(world, kAnn, 20 * kMiB);
  ObjectEntry* item = world.put_apart(kAnn, 1000);
  const auto left = thin_out(world, all, 10);
  const ChunkId chunk = item->where.chunk;
  world.compact();
  CHECK(item->where.chunk == chunk);
  {
    MutexLock lock(world.mutex);
    world.objects.enter(item, item->id);
  }
  world.compact();
  CHECK(world.objects.registry().info(item->where.chunk)->owner == kNode);
  check_all(world, {item});
  check_all(world, left);
}

TEST_CASE("mover: what workers know is recalled, and moves when they have forgotten it") {
  StoreWorld world;
  const auto left = thin_out(world, fill(world, kAnn, 4 * kMiB), 10);
  for (ObjectEntry* entry : left) world.tell(entry, true);
  world.compact();
  CHECK(world.recalls != 0);
  check_all(world, left);
  CHECK(world.objects.registry().info(left.front()->where.chunk)->owner == kNode);

  const auto kept = thin_out(world, fill(world, kBob, 4 * kMiB), 10);
  for (ObjectEntry* entry : kept) world.tell(entry, false);
  world.compact();
  for (ObjectEntry* entry : kept) {
    CHECK(world.objects.registry().info(entry->where.chunk)->owner == kBob);
    world.untell(entry);
  }
  world.compact();
  CHECK(world.objects.registry().info(kept.front()->where.chunk)->owner == kNode);
}

TEST_CASE("mover: what happens during the copy") {
  StoreWorld world;
  const auto left = thin_out(world, fill(world, kAnn, kMiB), 4);
  const ChunkId chunk = left.front()->where.chunk;
  const Location before = left.front()->where;
  const auto copy_while = [&](const std::function<void()>& meanwhile) {
    {
      MutexLock lock(world.mutex);  // the copy cannot be finished before this is over
      REQUIRE(world.mover.evacuate(chunk, Mover::Target::kMemory));
      meanwhile();
    }
    world.wait_for_moves();
    CHECK(world.is_valid());
  };
  SUBCASE("nothing") {
    copy_while([] {});
    CHECK(left.front()->where.chunk != chunk);
    check_all(world, left);
    CHECK_FALSE(world.objects.registry().info(chunk).has_value());
  }
  SUBCASE("a view is made: the object stays") {
    copy_while([&] { REQUIRE(left.front()->presence.pin()); });
    CHECK(left.front()->where.chunk == chunk);
    CHECK(left.front()->where.offset == before.offset);
    world.check_bytes(left.front());
    world.unview(left.front());
    check_all(world, left);
    world.drop(left.front());
    CHECK_FALSE(world.objects.registry().info(chunk).has_value());
  }
  SUBCASE("a worker is told the place: the object stays") {
    copy_while([&] { ++left.front()->readers; });
    CHECK(left.front()->where.chunk == chunk);
    world.untell(left.front());
  }
  SUBCASE("the last reference goes: the object is freed when it has moved") {
    const ObjectId id = left.front()->id;
    copy_while([&] { world.objects.release(left.front()); });
    CHECK(world.objects.find(id) == nullptr);
    CHECK_FALSE(world.objects.registry().info(chunk).has_value());
  }
  SUBCASE("the writer dies") {
    copy_while([&] {
      CHECK(world.objects.registry().orphan(kAnn).empty());
      world.arenas.erase(kAnn);
    });
    CHECK_FALSE(world.objects.registry().info(chunk).has_value());
    check_all(world, left);
  }
  SUBCASE("the runtime stops") {
    {
      MutexLock lock(world.mutex);
      REQUIRE(world.mover.evacuate(chunk, Mover::Target::kMemory));
    }
    world.io.stop();
    check_all(world, left);
    CHECK(world.mover.bytes_in_flight() == 0);
    MutexLock lock(world.mutex);
    CHECK_FALSE(world.mover.evacuate(left.front()->where.chunk, Mover::Target::kMemory));
  }
}

#ifdef BOLIDE_FAULTS
TEST_CASE("mover: no thread and no memory") {
  for (const char* plan : {"thread.start=fail", "memfd.create=fail"}) {
    StoreWorld world;
    const auto left = thin_out(world, fill(world, kAnn, kMiB), 4);
    {
      const support::FaultPlan faults(plan);
      MutexLock lock(world.mutex);
      CHECK_FALSE(world.mover.evacuate(left.front()->where.chunk, Mover::Target::kMemory));
      CHECK(world.mover.bytes_in_flight() == 0);
    }
    check_all(world, left);
  }
}
#endif

// Threads view and check objects while others are put and dropped and chunks are emptied.
TEST_CASE("mover: views are right at any moment") {
  StoreWorld world;
  std::vector<ObjectEntry*> shared = fill(world, kAnn, 8 * kMiB);  // these live to the end
  std::atomic<bool> done{false};
  std::atomic<uint64_t> views{0};
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 2; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      while (!done.load(std::memory_order_relaxed)) {
        ObjectEntry* entry = shared[random() % shared.size()];
        if (!world.view(entry)) continue;
        world.unview(entry);
        views.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  uint64_t moves = 0;
  std::mt19937_64 random(7);
  for (int round = 0; round < 15 || views.load(std::memory_order_relaxed) < 200; ++round) {
    std::vector<ObjectEntry*> passing;
    for (int i = 0; i < 40; ++i) passing.push_back(world.put(kBob, random() % (400 * kKiB)));
    for (ObjectEntry* entry : passing) world.drop(entry);
    // Whatever chunk they are in: out of it, unless a reader is faster.
    MutexLock lock(world.mutex);
    for (ObjectEntry* entry : shared) {
      if (random() % 4 == 0 && world.mover.evacuate(entry->where.chunk, Mover::Target::kMemory)) ++moves;
    }
    lock.unlock();
    world.wait_for_moves();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(moves != 0);
  check_all(world, shared);
}

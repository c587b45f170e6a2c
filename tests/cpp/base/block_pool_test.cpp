// BlockPool: blocks do not overlap, are used again, and their memory goes back as a whole.
#include "base/block_pool.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "support/seeds.h"

using bolide::BlockPool;

namespace {

struct Record {
  unsigned char* data;
  size_t size;
  unsigned char fill;

  bool intact() const {
    for (size_t i = 0; i < size; ++i) {
      if (data[i] != fill) return false;
    }
    return true;
  }
};

bool pools() { return BlockPool::class_of(1) != 0; }  // not under AddressSanitizer

}  // namespace

TEST_CASE("block pool: records keep what was written into them") {
  support::for_seeds(10, [](std::mt19937_64& random) {
    BlockPool pool;
    std::vector<Record> alive;
    for (int step = 0; step < 2'000; ++step) {
      if (alive.empty() || support::below(random, 5) < 3) {
        const size_t size = 1 + support::below(random, BlockPool::kLargest + 100);
        Record record{static_cast<unsigned char*>(pool.take(size)), size,
                      static_cast<unsigned char>(random())};
        std::memset(record.data, record.fill, size);
        alive.push_back(record);
      } else {
        const size_t i = support::below(random, alive.size());
        REQUIRE(alive[i].intact());
        pool.give(alive[i].data, BlockPool::class_of(alive[i].size));
        alive[i] = alive.back();
        alive.pop_back();
      }
    }
    for (const Record& record : alive) {
      REQUIRE(record.intact());
      pool.give(record.data, BlockPool::class_of(record.size));
    }
    CHECK(pool.slabs() <= 1);
  });
}

TEST_CASE("block pool: a block that was given back is taken next") {
  if (!pools()) return;
  BlockPool pool;
  void* first = pool.take(200);
  void* other = pool.take(200);
  pool.give(first, BlockPool::class_of(200));
  CHECK(pool.take(193) == first);  // of the same class
  CHECK(pool.take(100) != other);
}

TEST_CASE("block pool: its memory goes back when no block is taken, but for one slab") {
  if (!pools()) return;
  BlockPool pool;
  std::vector<void*> blocks;
  for (size_t i = 0; i < 10 * BlockPool::kSlab / 256; ++i) blocks.push_back(pool.take(256));
  CHECK(pool.slabs() == 10);
  while (blocks.size() > 1) {
    pool.give(blocks.back(), BlockPool::class_of(256));
    blocks.pop_back();
  }
  CHECK(pool.slabs() == 10);
  pool.give(blocks.back(), BlockPool::class_of(256));
  CHECK(pool.slabs() == 1);
  CHECK(pool.take(32) != nullptr);
}

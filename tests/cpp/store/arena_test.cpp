// Tests of arena.h. The node is played by memfds made here.
#include "store/arena.h"

#include <cstring>
#include <vector>

#include "store/views.h"
#include "store_testing.h"
#include "support/faults.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

namespace {

// An arena with somebody who grants everything.
struct Writer {
  Arena arena;
  uint32_t last_id = 0;

  ChunkId grant(uint64_t chunk_size) {
    const ChunkId id{++last_id};
    REQUIRE(arena.add_chunk(id, memfd(chunk_size), chunk_size).is_ok());
    return id;
  }

  Slot allocate(uint64_t size) {
    auto slot = arena.allocate(size);
    if (!slot) {
      grant(arena.chunk_size_for(size));
      slot = arena.allocate(size);
    }
    REQUIRE(slot.has_value());
    REQUIRE(arena.is_valid());
    return *slot;
  }

  void free(const Slot& slot) {
    REQUIRE(arena.free(slot.where));
    REQUIRE(arena.is_valid());
  }
};

std::vector<ChunkId> ids(std::initializer_list<uint32_t> values) {
  std::vector<ChunkId> result;
  for (uint32_t value : values) result.push_back(ChunkId{value});
  return result;
}

}  // namespace

TEST_CASE("arena: a client without chunks asks for one") {
  Arena arena;
  CHECK_FALSE(arena.allocate(0).has_value());
  CHECK_FALSE(arena.allocate(kMiB).has_value());
  CHECK_FALSE(arena.allocate(UINT64_MAX).has_value());
  CHECK(arena.writable(at(1, 0, 1)) == nullptr);
  CHECK_FALSE(arena.free(at(1, 0, 1)));
  arena.retire(ChunkId{1});
  CHECK_FALSE(arena.has_ended());
  CHECK(arena.give_back_all_empty().empty());
  CHECK(arena.is_valid());
}

TEST_CASE("arena: chunk sizes double for small objects and fit large ones") {
  Writer writer;
  CHECK(writer.arena.chunk_size_for(0) == 256 * kKiB);
  CHECK(writer.arena.chunk_size_for(kMiB - 1) == kMiB);
  CHECK(writer.arena.chunk_size_for(kMiB) == kMiB);
  CHECK(writer.arena.chunk_size_for(kMiB + 1) == kMiB + 4096);
  CHECK(writer.arena.chunk_size_for(100 * kMiB - 1) == 100 * kMiB);
  CHECK(writer.arena.chunk_size_for(UINT64_MAX) == kLargestObject);
  uint64_t expected = 256 * kKiB;
  for (int i = 0; i < 12; ++i) {
    CHECK(writer.arena.chunk_size_for(1) == expected);
    const ChunkId id = writer.grant(writer.arena.chunk_size_for(1));
    // Fills the chunk, so that the next one is needed.
    while (auto slot = writer.arena.allocate(256 * kKiB)) CHECK(slot->where.chunk == id);
    expected = std::min(2 * expected, 64 * kMiB);
  }
  CHECK(writer.arena.chunk_size_for(kMiB) == kMiB);  // own chunks do not depend on the others
}

TEST_CASE("arena: slots are aligned, apart, writable and in range") {
  Writer writer;
  std::vector<Slot> slots;
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{1000}, 3 * kMiB + 5}) {
    const Slot slot = writer.allocate(size);
    CHECK(slot.where.size == size);
    CHECK(slot.where.reserved == 0);
    CHECK(reinterpret_cast<uintptr_t>(slot.data) % 64 == 0);
    CHECK(writer.arena.writable(slot.where) == slot.data);
    if (size != 0) std::memset(slot.data, static_cast<int>(slots.size() + 1), size);
    slots.push_back(slot);
  }
  for (size_t i = 1; i < slots.size(); ++i) {
    CHECK(slots[i].data[0] == std::byte(i + 1));
    CHECK(slots[i].data[slots[i].where.size - 1] == std::byte(i + 1));
  }
  CHECK(slots[0].where.chunk == slots[3].where.chunk);
  CHECK(slots[0].where.chunk != slots[4].where.chunk);
  CHECK(writer.arena.stats().chunks == 2);
  CHECK(writer.arena.stats().own_chunks == 1);
  CHECK(writer.arena.stats().mapped == 256 * kKiB + page_round(3 * kMiB + 5));
  CHECK(writer.arena.stats().used == 64 * 3 + 1024 + span_size(3 * kMiB + 5));
  CHECK(writer.arena.stats().warm == 0);
}

TEST_CASE("arena: a slot that is alone is left and its chunk used again") {
  Writer writer;
  CHECK_FALSE(writer.arena.allocate_alone(100).has_value());
  CHECK(writer.arena.may_be_alone(100));
  const ChunkId id = writer.grant(page_round(100));
  const auto slot = writer.arena.allocate_alone(100);
  REQUIRE(slot.has_value());
  CHECK(slot->where.chunk == id);
  CHECK(slot->where.offset == 0);
  CHECK(slot->untouched);
  CHECK(writer.arena.stats().own_chunks == 1);
  slot->data[0] = std::byte{1};
  CHECK_FALSE(writer.arena.allocate(100).has_value());  // nothing else comes in

  auto left = writer.arena.leave(slot->where);
  REQUIRE(left.is_ok());
  CHECK(left->data() == slot->data);
  CHECK(left->data()[0] == std::byte{1});
  CHECK(writer.arena.writable(slot->where) != slot->data);
  writer.free(*slot);

  const auto again = writer.arena.allocate_alone(50);
  REQUIRE(again.has_value());
  CHECK(again->where.chunk == id);
  CHECK_FALSE(again->untouched);
  CHECK(again->data != left->data());
  again->data[1] = std::byte{2};
  CHECK(left->data()[1] == std::byte{2});  // the same pages: who left must have let go by then
  CHECK(writer.arena.is_valid());
}

TEST_CASE("arena: what is alone in a chunk that the node wants back can be left, and ends it") {
  Writer writer;
  writer.grant(page_round(100));
  const auto slot = writer.arena.allocate_alone(100);
  REQUIRE(slot.has_value());
  writer.arena.retire(slot->where.chunk);
  CHECK(writer.arena.leave(slot->where).is_ok());
  CHECK(writer.arena.free(slot->where));
  CHECK(writer.arena.take_ended() == std::vector<ChunkId>{slot->where.chunk});
}

TEST_CASE("arena: only what is alone can be left") {
  Writer writer;
  const Slot shared = writer.allocate(100);
  CHECK(writer.arena.leave(shared.where).status().message() ==
        "chunk 1 is not one that holds a single object of this client");
  CHECK(writer.arena.leave(at(9, 0, 1)).status().code() == Code::kInvalid);
  CHECK_FALSE(writer.arena.allocate_alone(UINT64_MAX).has_value());
}

TEST_CASE("arena: with many chunks of one object no small one may be alone") {
  Writer writer;
  for (size_t i = 0; i < kManyOwnChunks; ++i) {
    writer.grant(page_round(100));
    REQUIRE(writer.arena.allocate_alone(100).has_value());
  }
  CHECK_FALSE(writer.arena.may_be_alone(100));
  CHECK_FALSE(writer.arena.may_be_alone(kLargestShared));
  CHECK(writer.arena.may_be_alone(kLargestShared + 1));
  writer.grant(page_round(100));
  CHECK_FALSE(writer.arena.allocate_alone(100).has_value());
}

TEST_CASE("arena: forged locations") {
  Writer writer;
  const Slot slot = writer.allocate(100);
  const uint32_t chunk = slot.where.chunk.value;
  const uint64_t size = 256 * kKiB;
  CHECK(writer.arena.writable(at(chunk, 0, size)) == slot.data);
  for (const Location& forged :
       {at(chunk + 1, 0, 100), at(chunk, 0, size + 1), at(chunk, size, 1),
        at(chunk, 64, UINT64_MAX), at(chunk, UINT64_MAX, 2), at(chunk, UINT64_MAX - 63, 128)}) {
    CHECK(writer.arena.writable(forged) == nullptr);
    CHECK_FALSE(writer.arena.free(forged));
  }
  CHECK_FALSE(writer.arena.free(at(chunk, 128, 64)));  // in the chunk, but never allocated
  writer.free(slot);
  CHECK_FALSE(writer.arena.free(slot.where));
}

TEST_CASE("arena: a chunk is sealed when it has been added") {
  Arena arena;
  const os::Fd fd = memfd(kMiB);
  REQUIRE(arena.add_chunk(ChunkId{1}, fd, kMiB).is_ok());
  CHECK_FALSE(os::Mapping::map(fd, kMiB, os::Access::kReadWrite).is_ok());
  CHECK(os::Mapping::map(fd, kMiB, os::Access::kRead).is_ok());
  const auto slot = arena.allocate(1);
  REQUIRE(slot.has_value());
  slot->data[0] = std::byte{7};  // the first mapping still writes
}

TEST_CASE("arena: chunks that cannot be added leave nothing behind") {
  Arena arena;
  const Status missing = arena.add_chunk(ChunkId{1}, os::Fd(), kMiB);
  CHECK_FALSE(missing.is_ok());
  CHECK_FALSE(arena.add_chunk(ChunkId{1}, memfd(kMiB), 2 * kMiB).is_ok());
  CHECK_FALSE(arena.add_chunk(ChunkId{1}, memfd(kMiB), 0).is_ok());
  CHECK(arena.stats().chunks == 0);
  REQUIRE(arena.add_chunk(ChunkId{1}, memfd(kMiB), kMiB).is_ok());
  const Status twice = arena.add_chunk(ChunkId{1}, memfd(kMiB), kMiB);
  CHECK(twice.code() == Code::kInvalid);
  CHECK(twice.message() == "chunk 1 was added twice");
  CHECK(arena.stats().mapped == kMiB);
#ifdef BOLIDE_FAULTS
  const support::FaultPlan faults("memfd.seal=fail");
  CHECK_FALSE(arena.add_chunk(ChunkId{2}, memfd(kMiB), kMiB).is_ok());
  CHECK(arena.stats().chunks == 1);
#endif
}

TEST_CASE("arena: a full chunk sends small objects to the oldest with room") {
  Writer writer;
  std::vector<Slot> slots;
  for (int i = 0; i < 5; ++i) slots.push_back(writer.allocate(200 * kKiB));  // one, two, ...
  CHECK(slots[0].where.chunk.value == 1);
  CHECK(slots[1].where.chunk.value == 2);
  CHECK(slots[2].where.chunk.value == 2);
  CHECK(slots[3].where.chunk.value == 3);
  CHECK(slots[4].where.chunk.value == 3);
  writer.free(slots[1]);
  writer.free(slots[0]);
  CHECK(writer.allocate(200 * kKiB).where.chunk.value == 3);  // the current one has room
  while (true) {
    const auto slot = writer.arena.allocate(200 * kKiB);
    REQUIRE(slot.has_value());
    if (slot->where.chunk.value != 3) {
      CHECK(slot->where.chunk.value == 1);
      break;
    }
  }
  CHECK(writer.allocate(200 * kKiB).where.chunk.value == 2);
  CHECK(writer.arena.chunk_size_for(200 * kKiB) == 2 * kMiB);
}

TEST_CASE("arena: warm chunks of their own are used again") {
  Writer writer;
  const Slot first = writer.allocate(8 * kMiB);
  writer.free(first);
  CHECK(writer.arena.stats().warm == 8 * kMiB);

  SUBCASE("for the same size") {
    CHECK(writer.allocate(8 * kMiB).where.chunk == first.where.chunk);
    CHECK(writer.arena.stats().warm == 0);
  }
  SUBCASE("for one as small as the rule allows: 8 MiB <= 1.25 * 6.4 MiB, in pages") {
    CHECK(writer.allocate(6'707'611).where.chunk == first.where.chunk);
  }
  SUBCASE("not for a smaller one") {
    CHECK(writer.allocate(6'707'609).where.chunk != first.where.chunk);
  }
  SUBCASE("not for a larger one") {
    CHECK(writer.allocate(8 * kMiB + 1).where.chunk != first.where.chunk);
  }
  SUBCASE("not for a small object") {
    CHECK(writer.allocate(100).where.chunk != first.where.chunk);
  }
  SUBCASE("the most recently emptied first") {
    const Slot a = writer.allocate(8 * kMiB);
    const Slot b = writer.allocate(8 * kMiB);
    const Slot c = writer.allocate(8 * kMiB);
    writer.free(b);
    writer.free(c);
    writer.free(a);
    CHECK(writer.allocate(8 * kMiB).where.chunk == a.where.chunk);
    CHECK(writer.allocate(8 * kMiB).where.chunk == c.where.chunk);
    CHECK(writer.allocate(8 * kMiB).where.chunk == b.where.chunk);
  }
}

TEST_CASE("arena: what a new chunk is for is settled by its first object") {
  Writer writer;
  const ChunkId large = writer.grant(80 * kMiB);
  CHECK_FALSE(writer.arena.allocate(100).has_value());       // larger than any shared chunk
  CHECK_FALSE(writer.arena.allocate(2 * kMiB).has_value());  // a bad fit
  const ChunkId small = writer.grant(256 * kKiB);
  CHECK_FALSE(writer.arena.allocate(300 * kKiB).has_value());  // fits in neither
  CHECK(writer.arena.allocate(100)->where.chunk == small);
  CHECK(writer.arena.allocate(80 * kMiB)->where.chunk == large);
  CHECK(writer.arena.stats().own_chunks == 1);
}

TEST_CASE("arena: with many own chunks, middling objects share") {
  Writer writer;
  std::vector<Slot> slots;
  for (size_t i = 0; i < kManyOwnChunks; ++i) slots.push_back(writer.allocate(kMiB));
  CHECK(writer.arena.stats().own_chunks == kManyOwnChunks);
  CHECK(writer.arena.chunk_size_for(2 * kMiB) == 2 * kMiB);
  CHECK(writer.arena.chunk_size_for(3 * kMiB) == 4 * kMiB);
  const Slot shared = writer.allocate(3 * kMiB);
  CHECK(writer.allocate(kMiB).where.chunk == shared.where.chunk);
  CHECK(writer.allocate(16 * kMiB).where.chunk != shared.where.chunk);
  CHECK(writer.arena.stats().own_chunks == kManyOwnChunks);
  CHECK(writer.arena.chunk_size_for(16 * kMiB + 1) == 16 * kMiB + kPage);
  writer.allocate(16 * kMiB + 1);
  CHECK(writer.arena.stats().own_chunks == kManyOwnChunks + 1);
  writer.free(slots[5]);  // an own chunk that is free goes before sharing
  CHECK(writer.allocate(kMiB).where.chunk == slots[5].where.chunk);
}

TEST_CASE("arena: an empty chunk that is retired ends at once") {
  Writer writer;
  const Slot large = writer.allocate(2 * kMiB);
  const Slot small = writer.allocate(10);
  const ChunkId unused = writer.grant(4 * kMiB);
  writer.free(large);
  writer.free(small);
  writer.arena.retire(large.where.chunk);
  writer.arena.retire(unused);
  writer.arena.retire(small.where.chunk);
  CHECK(writer.arena.has_ended());
  CHECK(writer.arena.take_ended() ==
        std::vector<ChunkId>{large.where.chunk, unused, small.where.chunk});
  CHECK_FALSE(writer.arena.has_ended());
  CHECK(writer.arena.stats().chunks == 0);
  CHECK(writer.arena.stats().own_chunks == 0);
  CHECK(writer.arena.chunk_size_for(1) == kFirstSharedChunk);  // small again
  CHECK(writer.arena.is_valid());
}

TEST_CASE("arena: a retired chunk takes no more objects and ends with its last") {
  Writer writer;
  const Slot first = writer.allocate(100);
  const Slot second = writer.allocate(100);
  const Slot large = writer.allocate(3 * kMiB);
  writer.arena.retire(first.where.chunk);
  writer.arena.retire(large.where.chunk);
  writer.arena.retire(first.where.chunk);  // again: nothing happens
  CHECK(writer.arena.is_valid());
  CHECK_FALSE(writer.arena.has_ended());
  CHECK(writer.allocate(100).where.chunk != first.where.chunk);
  writer.free(first);
  CHECK_FALSE(writer.arena.has_ended());
  CHECK(writer.arena.writable(second.where) == second.data);
  writer.free(large);
  CHECK(writer.arena.take_ended() == std::vector<ChunkId>{large.where.chunk});
  CHECK(writer.allocate(3 * kMiB).where.chunk != large.where.chunk);
  writer.free(second);
  CHECK(writer.arena.take_ended() == std::vector<ChunkId>{first.where.chunk});
  CHECK(writer.arena.writable(second.where) == nullptr);
  CHECK(writer.arena.stats().own_chunks == 1);
}

TEST_CASE("arena: give_back_all_empty leaves what is used") {
  Writer writer;
  const Slot small = writer.allocate(10);
  const Slot large = writer.allocate(2 * kMiB);
  const Slot other = writer.allocate(3 * kMiB);
  writer.grant(4 * kMiB);
  writer.free(large);
  CHECK(writer.arena.give_back_all_empty() == ids({4, 2}));  // the longest empty first
  CHECK(writer.arena.writable(small.where) == small.data);
  CHECK(writer.arena.writable(other.where) == other.data);
  CHECK(writer.arena.give_back_all_empty().empty());
  CHECK(writer.arena.stats().own_chunks == 1);
}

TEST_CASE("arena: a reader still sees the bytes when the writer has unmapped") {
  Arena arena;
  Views views;
  os::Fd fd = memfd(2 * kMiB);
  REQUIRE(arena.add_chunk(ChunkId{9}, fd, 2 * kMiB).is_ok());
  REQUIRE(views.add(ChunkId{9}, fd, 2 * kMiB).is_ok());
  fd.reset();
  const auto slot = arena.allocate(2 * kMiB);
  REQUIRE(slot.has_value());
  std::memset(slot->data, 42, 2 * kMiB);
  const std::byte* seen = views.resolve_pinned(slot->where);
  REQUIRE(seen != nullptr);
  CHECK(seen != slot->data);  // a second mapping, read-only
  REQUIRE(arena.free(slot->where));
  CHECK(arena.give_back_all_empty().size() == 1);
  CHECK_FALSE(views.drop(ChunkId{9}));
  CHECK(seen[0] == std::byte{42});
  CHECK(seen[2 * kMiB - 1] == std::byte{42});
}

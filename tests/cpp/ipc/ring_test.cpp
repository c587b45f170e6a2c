// The ring, step by step: what becomes visible when, where records lie, when there is room, and
// what a reader does with bytes that cannot be. The random walk is ring_model_test.cpp.
#include "ipc/ring.h"

#include <doctest/doctest.h>

#include "ipc/ring_testing.h"
#include "support/forked.h"

using namespace bolide::ipc;
using bolide::ipc::testing::Ring;
using bolide::ipc::testing::RingMemory;
using Peek = RingConsumer::Peek;

TEST_CASE("ring: a formatted ring is valid, and only for its own capacity, magic and version") {
  RingMemory memory(256);
  CHECK(valid_ring(memory.get(), 256));
  CHECK_FALSE(valid_ring(memory.get(), 512));
  memory.control()->magic ^= 1;
  CHECK_FALSE(valid_ring(memory.get(), 256));
  memory.control()->magic ^= 1;
  memory.control()->version += 1;
  CHECK_FALSE(valid_ring(memory.get(), 256));
}

TEST_CASE("ring: a capacity that is no power of two is refused") {
  const auto ended = support::forked([] {
    RingMemory memory(192);
    return 0;
  });
  CHECK(ended.killed(SIGABRT));
  CHECK(ended.said("a ring's capacity must be a power of two"));
}

TEST_CASE("ring: a record is seen once it is published, not before") {
  Ring ring(256);
  Record record;
  CHECK(ring.out.peek(record) == Peek::kEmpty);
  CHECK_FALSE(ring.in.unpublished());

  std::byte* to = ring.in.reserve(5, 7);
  REQUIRE(to != nullptr);
  std::memcpy(to, "hello", 5);
  CHECK(ring.out.peek(record) == Peek::kEmpty);
  CHECK(ring.in.commit() == 0);
  CHECK(ring.in.unpublished());
  CHECK_FALSE(ring.out.has_data());
  CHECK(ring.out.peek(record) == Peek::kEmpty);

  CHECK_FALSE(ring.in.publish());
  CHECK_FALSE(ring.in.unpublished());
  CHECK(ring.out.has_data());
  for (int look = 0; look < 2; ++look) {  // a look takes nothing
    REQUIRE(ring.out.peek(record) == Peek::kRecord);
    CHECK(record.type == 7);
    CHECK(record.flags == 0);
    CHECK(record.size == 8);
    CHECK(std::memcmp(record.payload, "hello", 5) == 0);
    CHECK(record.header == ring.memory.data());
  }
  ring.out.pop();
  CHECK(ring.out.peek(record) == Peek::kEmpty);
  CHECK(ring.out.unreleased() == 16);
}

TEST_CASE("ring: payloads are rounded to 8 bytes and flags travel with them") {
  for (uint64_t size = 0; size <= 17; ++size) {
    CAPTURE(size);
    Ring ring(256);
    REQUIRE(ring.in.reserve(size, 3, 9) != nullptr);
    ring.in.commit();
    ring.in.publish();
    Record record;
    REQUIRE(ring.out.peek(record) == Peek::kRecord);
    CHECK(record.size == align8(size));
    CHECK(record.flags == 9);
  }
}

TEST_CASE("ring: the flags of a record that waits can be changed by the producer") {
  Ring ring(256);
  ring.push(8);
  REQUIRE(ring.in.reserve(8, 2) != nullptr);
  const uint64_t second = ring.in.commit();
  ring.in.publish();
  ring.in.flags_at(second).store(1);
  Record record;
  REQUIRE(ring.out.peek(record) == Peek::kRecord);
  CHECK(record.flags == 0);
  ring.out.pop();
  REQUIRE(ring.out.peek(record) == Peek::kRecord);
  CHECK(record.flags == 1);
  ring.in.flags_at(second).store(0);
  REQUIRE(ring.out.peek(record) == Peek::kRecord);
  CHECK(record.flags == 0);
}

TEST_CASE("ring: what does not fit before the end is preceded by a pad and never wraps") {
  Ring ring(64);
  REQUIRE(ring.push(24, 1));  // 0..32
  ring.in.publish();
  CHECK(ring.pop() == 1);
  REQUIRE(ring.push(8, 2));  // 32..48; 16 bytes are left before the end
  std::byte* to = ring.in.reserve(16, 3);
  REQUIRE(to != nullptr);
  CHECK(to == ring.memory.data() + sizeof(RecordHeader));
  CHECK(ring.in.commit() == 64);
  CHECK(ring.header(48).type == kPad);
  CHECK(ring.header(48).size == 16);
  ring.in.publish();
  CHECK(ring.pop() == 2);
  CHECK(ring.pop() == 3);
  CHECK(ring.pop() == kPad);
  CHECK(ring.memory.control()->head.load() == 88);
}

TEST_CASE("ring: a record that ends exactly at the end needs no pad") {
  Ring ring(64);
  REQUIRE(ring.push(24, 1));
  ring.in.publish();
  CHECK(ring.pop() == 1);
  REQUIRE(ring.in.reserve(24, 2) != nullptr);
  CHECK(ring.in.commit() == 32);
  REQUIRE(ring.in.reserve(24, 3) != nullptr);
  CHECK(ring.in.commit() == 64);
  ring.in.publish();
  CHECK(ring.pop() == 2);
  CHECK(ring.pop() == 3);
}

TEST_CASE("ring: it can be filled to the last byte, and by one record") {
  Ring ring(64);
  CHECK(ring.push(64 - sizeof(RecordHeader), 1));
  CHECK_FALSE(ring.push(0, 2));
  ring.in.publish();
  CHECK(ring.pop() == 1);
  CHECK(ring.push(0, 2));
  CHECK(ring.push(40, 3));
  CHECK_FALSE(ring.push(8, 4));  // one step too large
  CHECK(ring.push(0, 5));
  CHECK_FALSE(ring.push(0, 6));
  ring.in.publish();
  for (int type : {2, 3, 5}) CHECK(ring.pop() == type);
}

TEST_CASE("ring: no room leaves it as it was, and room comes back with released space") {
  Ring ring(64);
  REQUIRE(ring.push(24, 1));
  REQUIRE(ring.push(24, 2));
  ring.in.publish();
  CHECK_FALSE(ring.push(0, 3));
  CHECK(ring.in.refresh_used() == 64);
  CHECK_FALSE(ring.in.unpublished());

  Record record;
  REQUIRE(ring.out.peek(record) == Peek::kRecord);
  ring.out.pop();
  CHECK_FALSE(ring.push(0, 3));  // popped, not yet given back: the bytes may still be in use
  CHECK(ring.out.unreleased() == 32);
  CHECK_FALSE(ring.out.release_space());
  CHECK(ring.out.unreleased() == 0);
  CHECK(ring.in.seen_head() == 0);
  CHECK(ring.push(24, 3));
  CHECK(ring.in.seen_head() == 32);
  CHECK_FALSE(ring.push(0, 4));
}

TEST_CASE("ring: where the pad fits and the record behind it does not, nothing is written") {
  Ring ring(64);
  REQUIRE(ring.push(24, 1));
  REQUIRE(ring.push(8, 2));  // ..48
  ring.in.publish();
  Record record;
  REQUIRE(ring.out.peek(record) == Peek::kRecord);
  ring.out.pop();
  ring.out.release_space();  // 0..32 is free: a record of 32 would fit at the start, with its pad
  CHECK_FALSE(ring.push(32, 3));
  CHECK_FALSE(ring.in.unpublished());
  CHECK(ring.push(24, 4));
  CHECK(ring.in.unpublished());
  ring.in.publish();
  CHECK(ring.pop() == 2);
  CHECK(ring.pop() == 4);
}

TEST_CASE("ring: a record that is larger than the ring never fits") {
  Ring ring(64);
  volatile uint64_t size = 57;  // gcc would warn of a write that does not happen
  CHECK_FALSE(ring.push(size, 1));
  size = 1 << 20;
  CHECK_FALSE(ring.push(size, 1));
  CHECK(ring.in.largest_record() == 16);
  CHECK(ring.in.capacity() == 64);
  CHECK(ring.out.capacity() == 64);
}

TEST_CASE("ring: a reservation without commit is never seen, with or without a pad before it") {
  Ring ring(64);
  Record record;
  REQUIRE(ring.in.reserve(8, 1) != nullptr);
  ring.in.publish();
  CHECK(ring.out.peek(record) == Peek::kEmpty);
  REQUIRE(ring.push(40, 2));  // 0..48
  ring.in.publish();
  CHECK(ring.pop() == 2);
  REQUIRE(ring.in.reserve(16, 3) != nullptr);  // a pad to the end, then this
  CHECK(ring.in.unpublished());
  ring.in.publish();
  CHECK(ring.out.has_data());
  CHECK(ring.out.peek(record) == Peek::kEmpty);
  CHECK(ring.push(16, 4));
  ring.in.publish();
  CHECK(ring.pop() == 4);
}

TEST_CASE("ring: each side is told whether the other sleeps") {
  Ring ring(256);
  ring.push(0);
  CHECK_FALSE(ring.in.publish());
  ring.memory.control()->consumer_waiting.store(1);
  ring.push(0);
  CHECK(ring.in.publish());
  CHECK(ring.in.publish());  // until the consumer clears its word
  CHECK_FALSE(ring.out.release_space());
  ring.memory.control()->producer_waiting.store(1);
  CHECK(ring.out.release_space());
  CHECK(ring.in.control() == ring.memory.control());
  CHECK(ring.out.control() == ring.memory.control());
}

// ---- what cannot be

namespace {

Peek peek_with(uint64_t tail, RecordHeader header) {
  Ring ring(64);
  ring.push(24, 1);  // the reader's head is at 32 in all of these
  ring.in.publish();
  ring.pop();
  ring.set_header(32, header);
  ring.memory.control()->tail.store(tail);
  Record record;
  return ring.out.peek(record);
}

}  // namespace

TEST_CASE("ring: a tail beyond the capacity, or behind the head, is corrupt") {
  CHECK(peek_with(48, {16, 1, 0}) == Peek::kRecord);
  CHECK(peek_with(32 + 64, {16, 1, 0}) == Peek::kRecord);
  CHECK(peek_with(32 + 65, {16, 1, 0}) == Peek::kCorrupt);
  CHECK(peek_with(UINT64_MAX, {16, 1, 0}) == Peek::kCorrupt);
  CHECK(peek_with(24, {16, 1, 0}) == Peek::kCorrupt);
  CHECK(peek_with(0, {16, 1, 0}) == Peek::kCorrupt);
}

TEST_CASE("ring: a size that is too small, odd, or beyond the tail or the end is corrupt") {
  for (uint16_t type : {uint16_t{1}, kPad}) {
    CAPTURE(type);
    for (uint32_t size : {0u, 4u, 7u, 9u, 15u}) {
      CAPTURE(size);
      CHECK(peek_with(64, {size, type, 0}) == Peek::kCorrupt);
    }
    CHECK(peek_with(40, {16, type, 0}) == Peek::kCorrupt);         // beyond the tail
    CHECK(peek_with(96, {40, type, 0}) == Peek::kCorrupt);         // beyond the end
    CHECK(peek_with(64, {UINT32_MAX & ~7u, type, 0}) == Peek::kCorrupt);
    CHECK(peek_with(96, {32, type, 0}) != Peek::kCorrupt);         // up to the end is right
  }
}

TEST_CASE("ring: a tail within a record's header is corrupt") {
  CHECK(peek_with(36, {8, 1, 0}) == Peek::kCorrupt);
}

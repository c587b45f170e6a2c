// Tests of span_allocator.h and sizes.h.
#include "store/span_allocator.h"

#include <algorithm>
#include <map>
#include <vector>

#include "store_testing.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

TEST_CASE("sizes: rounding and ranges") {
  static_assert(span_size(0) == 64 && span_size(1) == 64 && span_size(64) == 64);
  static_assert(span_size(65) == 128 && page_round(1) == 4096 && page_round(4096) == 4096);
  static_assert(span_size(kLargestObject) == kLargestObject);
  CHECK(in_range(at(1, 0, 4096), 4096));
  CHECK(in_range(at(1, 4096, 0), 4096));
  CHECK_FALSE(in_range(at(1, 1, 4096), 4096));
  CHECK_FALSE(in_range(at(1, 0, 4097), 4096));
  CHECK_FALSE(in_range(at(1, UINT64_MAX, 1), 4096));
  CHECK_FALSE(in_range(at(1, 64, UINT64_MAX), 4096));
  CHECK_FALSE(in_range(at(1, UINT64_MAX - 63, 128), 4096));  // the sum is 64
}

TEST_CASE("span allocator: a fresh chunk is filled from the front, aligned") {
  SpanAllocator spans(1000);  // 960 usable
  CHECK(spans.capacity() == 960);
  CHECK(spans.empty());
  CHECK(spans.largest_free() == 960);
  CHECK(spans.allocate(0) == 0u);
  CHECK(spans.allocate(1) == 64u);
  CHECK(spans.allocate(65) == 128u);
  CHECK(spans.used() == 256);
  CHECK(spans.high_water() == 256);
  CHECK(spans.largest_free() == 704);
  CHECK(spans.allocate(704) == 256u);
  CHECK(spans.largest_free() == 0);
  CHECK_FALSE(spans.allocate(1).has_value());
  CHECK(spans.is_valid());
}

TEST_CASE("span allocator: sizes that cannot fit") {
  SpanAllocator spans(4096);
  CHECK_FALSE(spans.allocate(4097).has_value());
  CHECK_FALSE(spans.allocate(UINT64_MAX).has_value());
  CHECK_FALSE(spans.allocate(UINT64_MAX - 62).has_value());  // rounding up would overflow
  CHECK(SpanAllocator(63).capacity() == 0);
  CHECK_FALSE(SpanAllocator(63).allocate(0).has_value());
  SpanAllocator odd(100);  // 64 usable, though 100 > 65
  CHECK_FALSE(odd.allocate(65).has_value());
}

TEST_CASE("span allocator: freeing merges with both neighbours and with the end") {
  SpanAllocator spans(64 * 8);
  for (int i = 0; i < 8; ++i) REQUIRE(spans.allocate(64));
  CHECK(spans.free(64, 64));   // alone
  CHECK(spans.free(192, 64));  // alone
  CHECK(spans.largest_free() == 64);
  CHECK(spans.free(128, 64));  // joins both
  CHECK(spans.largest_free() == 192);
  CHECK(spans.free(256, 64));  // joins the one before
  CHECK(spans.free(0, 64));    // joins the one after
  CHECK(spans.largest_free() == 320);
  CHECK(spans.is_valid());
  CHECK(spans.free(448, 64));  // the end
  CHECK(spans.free(384, 64));  // the end again
  CHECK(spans.largest_free() == 320);
  CHECK(spans.free(320, 64));  // the end joins the hole
  CHECK(spans.empty());
  CHECK(spans.largest_free() == 512);
  CHECK(spans.high_water() == 512);
  CHECK(spans.is_valid());
}

TEST_CASE("span allocator: the smallest hole that fits, the lowest of equals, before the end") {
  SpanAllocator spans(64 * 100);
  std::vector<uint64_t> sizes{192, 64, 128, 64, 128, 64, 64, 64};
  std::vector<uint64_t> at_offset;
  for (uint64_t size : sizes) at_offset.push_back(*spans.allocate(size));
  CHECK(spans.free(at_offset[0], 192));
  CHECK(spans.free(at_offset[2], 128));
  CHECK(spans.free(at_offset[4], 128));
  CHECK(spans.allocate(128) == at_offset[2]);
  CHECK(spans.allocate(100) == at_offset[4]);
  CHECK(spans.allocate(64) == at_offset[0]);        // splits the hole of 192
  CHECK(spans.allocate(128) == at_offset[0] + 64);  // the rest of it
  CHECK(spans.allocate(64) == 768u);                // no hole is left: the end
  CHECK(spans.is_valid());
}

TEST_CASE("span allocator: what is not allocated is not freed") {
  SpanAllocator spans(64 * 8);
  for (int i = 0; i < 6; ++i) REQUIRE(spans.allocate(64));
  REQUIRE(spans.free(64, 64));
  REQUIRE(spans.free(192, 64));
  CHECK_FALSE(spans.free(64, 64));               // twice
  CHECK_FALSE(spans.free(0, 128));               // reaches into the hole after
  CHECK_FALSE(spans.free(64, 128));              // begins in a hole
  CHECK_FALSE(spans.free(32, 64));               // not aligned
  CHECK_FALSE(spans.free(384, 64));              // above the end
  CHECK_FALSE(spans.free(320, 128));             // across the end
  CHECK_FALSE(spans.free(0, UINT64_MAX));        // rounding up would overflow
  CHECK_FALSE(spans.free(UINT64_MAX - 63, 64));  // the sum is 0
  CHECK(spans.used() == 256);
  CHECK(spans.is_valid());
  SpanAllocator wide(64 * 8);
  for (int i = 0; i < 4; ++i) REQUIRE(wide.allocate(64));
  REQUIRE(wide.free(0, 64));
  REQUIRE(wide.free(64, 64));
  CHECK_FALSE(wide.free(64, 64));  // the middle of a larger hole
}

TEST_CASE("span allocator: last in, first out needs no hole") {
  SpanAllocator spans(kMiB);
  for (int i = 0; i < 1000; ++i) {
    const auto offset = spans.allocate(5000);
    REQUIRE(offset == 0u);
    REQUIRE(spans.free(*offset, 5000));
  }
  CHECK(spans.high_water() == span_size(5000));
}

TEST_CASE("span allocator: agrees with a model, at random") {
  for_seeds(40, [](std::mt19937_64& random) {
    const uint64_t capacity = 64 * (1 + below(random, 400));
    SpanAllocator spans(capacity);
    std::map<uint64_t, uint64_t> live;  // offset -> size asked for
    std::vector<bool> taken(capacity / 64, false);
    const auto largest_gap = [&taken] {
      uint64_t best = 0, run = 0;
      for (bool used : taken) best = std::max(best, run = used ? 0 : run + 1);
      return best * 64;
    };
    uint64_t high_water = 0;
    for (int step = 0; step < 1500; ++step) {
      if (below(random, 100) < 55) {
        const uint64_t size =
            below(random, 8) == 0 ? below(random, capacity + 100) : below(random, 700);
        const uint64_t gap = largest_gap();
        REQUIRE(spans.largest_free() == gap);
        const auto offset = spans.allocate(size);
        REQUIRE(offset.has_value() == (span_size(size) <= gap));
        if (!offset) continue;
        REQUIRE(*offset % 64 == 0);
        REQUIRE(*offset + span_size(size) <= capacity);
        for (uint64_t i = *offset / 64; i < (*offset + span_size(size)) / 64; ++i) {
          REQUIRE_FALSE(taken[i]);
          taken[i] = true;
        }
        live[*offset] = size;
        high_water = std::max(high_water, *offset + span_size(size));
      } else if (!live.empty()) {
        auto victim = std::next(live.begin(), static_cast<long>(below(random, live.size())));
        REQUIRE(spans.free(victim->first, victim->second));
        REQUIRE_FALSE(spans.free(victim->first, victim->second));
        for (uint64_t i = victim->first / 64; i < (victim->first + span_size(victim->second)) / 64;
             ++i) {
          taken[i] = false;
        }
        live.erase(victim);
      }
      REQUIRE(spans.is_valid());
      REQUIRE(spans.empty() == live.empty());
      REQUIRE(spans.used() ==
              64 * static_cast<uint64_t>(std::count(taken.begin(), taken.end(), true)));
      REQUIRE(spans.high_water() == high_water);
    }
    for (const auto& [offset, size] : live) REQUIRE(spans.free(offset, size));
    REQUIRE(spans.empty());
    REQUIRE(spans.largest_free() == capacity);
    REQUIRE(spans.is_valid());
  });
}

// Presence: pins and departures exclude each other, also when threads race for them.
#include "store/presence.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using bolide::store::Presence;

TEST_CASE("presence: who pins keeps the bytes where they are") {
  Presence presence;
  CHECK_FALSE(presence.is_away());
  CHECK_FALSE(presence.is_pinned());
  REQUIRE(presence.pin());
  REQUIRE(presence.pin());
  CHECK(presence.is_pinned());
  CHECK_FALSE(presence.depart());
  presence.unpin();
  CHECK_FALSE(presence.depart());
  presence.unpin();
  CHECK(presence.depart());
  CHECK(presence.is_away());
  CHECK_FALSE(presence.depart());  // it has left already
}

TEST_CASE("presence: what is away can be pinned once it has arrived") {
  Presence presence;
  REQUIRE(presence.depart());
  CHECK_FALSE(presence.pin());
  CHECK_FALSE(presence.is_pinned());  // the failed pin left nothing
  presence.arrive();
  CHECK_FALSE(presence.is_away());
  CHECK(presence.pin());
  presence.reset();
  CHECK(presence.depart());
}

// A mover changes two plain words; readers must never see them differ. ThreadSanitizer sees every
// missing order.
TEST_CASE("presence: readers never see a half-made move") {
  Presence presence;
  uint64_t place[2] = {0, 0};
  std::atomic<bool> done{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
        if (!presence.pin()) continue;
        const bool same = place[0] == place[1];
        presence.unpin();
        REQUIRE(same);
        reads.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  uint64_t moves = 0;
  while (moves < 2000 || reads.load(std::memory_order_relaxed) < 2000) {
    if (!presence.depart()) continue;
    place[0] = ++moves;
    place[1] = moves;
    presence.arrive();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK_FALSE(presence.is_pinned());
  CHECK(place[1] == moves);
}

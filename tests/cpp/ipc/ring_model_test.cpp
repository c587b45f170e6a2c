// The ring as a whole: random traffic against a model, a producer that dies at any step, and two
// threads (for ThreadSanitizer: through one mapping, see RELIABILITY section 0).
#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <thread>

#include "ipc/ring.h"
#include "ipc/ring_testing.h"
#include "support/seeds.h"

using namespace bolide::ipc;
using bolide::ipc::testing::Ring;
using support::below;
using support::one_in;
using Peek = RingConsumer::Peek;

namespace {

struct Sent {
  uint16_t type;
  std::string bytes;
};

std::string payload(std::mt19937_64& random, uint64_t most) {
  // Small ones mostly, some as large as can be.
  std::string bytes(one_in(random, 8) ? below(random, most + 1) : below(random, 1 + most / 6), 0);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// One producer and one consumer that take turns at random.
class Traffic {
 public:
  Traffic(std::mt19937_64& random, uint64_t capacity) : random_(random), ring_(capacity) {}

  void step() {
    switch (below(random_, 8)) {
      case 0:
      case 1:
      case 2:
        push();
        break;
      case 3:
        publish();
        break;
      case 4:
      case 5:
      case 6:
        pop();
        break;
      default:
        ring_.out.release_space();
        break;
    }
    check();
  }

  // die stops the producer within a record, then lets the consumer read to the end.
  void die() {
    if (std::byte* to = ring_.in.reserve(below(random_, 40), 99)) {
      if (one_in(random_, 2)) *to = std::byte{1};
      if (one_in(random_, 2)) ring_.in.commit();
    }
    while (visible_ != 0) pop();
    Record record;
    REQUIRE(ring_.out.peek(record) == Peek::kEmpty);
  }

  uint64_t refused() const { return refused_; }

 private:
  void push() {
    const uint64_t capacity = ring_.in.capacity();
    Sent sent{static_cast<uint16_t>(1 + below(random_, 9)), payload(random_, capacity - 8)};
    std::byte* to = ring_.in.reserve(sent.bytes.size(), sent.type);
    if (to == nullptr) {
      // Without a pad it fits whenever there are that many free bytes.
      const uint64_t size = align8(8 + sent.bytes.size());
      const uint64_t at = tail_ % capacity;
      const uint64_t pad = at + size > capacity ? capacity - at : 0;
      REQUIRE(tail_ + pad + size > released_ + capacity);
      ++refused_;
      return;
    }
    REQUIRE(to + align8(sent.bytes.size()) <= ring_.memory.data() + capacity);
    if (!sent.bytes.empty()) std::memcpy(to, sent.bytes.data(), sent.bytes.size());
    const uint64_t position = ring_.in.commit();
    tail_ = position + align8(8 + sent.bytes.size());
    sent_.push_back(std::move(sent));
  }

  void publish() {
    REQUIRE(ring_.in.unpublished() == (sent_.size() > visible_));
    ring_.in.publish();
    visible_ = sent_.size();
  }

  void pop() {
    Record record;
    const Peek peek = ring_.out.peek(record);
    REQUIRE(peek == (visible_ == 0 ? Peek::kEmpty : Peek::kRecord));
    if (visible_ == 0) return;
    const Sent& expected = sent_.front();
    REQUIRE(record.type == expected.type);
    REQUIRE(record.size == align8(expected.bytes.size()));
    REQUIRE(std::memcmp(record.payload, expected.bytes.data(), expected.bytes.size()) == 0);
    ring_.out.pop();
    if (one_in(random_, 3)) ring_.out.release_space();
    sent_.pop_front();
    --visible_;
  }

  void check() {
    const RingControl* control = ring_.memory.control();
    released_ = control->head.load();
    REQUIRE(released_ <= control->tail.load());
    REQUIRE(tail_ - released_ <= ring_.in.capacity());
    REQUIRE(ring_.in.refresh_used() >= tail_ - released_);
    REQUIRE(ring_.in.seen_head() == released_);
  }

  std::mt19937_64& random_;
  Ring ring_;
  std::deque<Sent> sent_;  // and not yet popped
  size_t visible_ = 0;     // how many of them are published
  uint64_t tail_ = 0;
  uint64_t released_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace

TEST_CASE("ring: random traffic agrees with a model, also when the producer dies") {
  uint64_t refused = 0;
  support::for_seeds(60, [&](std::mt19937_64& random) {
    Traffic traffic(random, uint64_t{64} << below(random, 5));
    for (int i = 0; i < 2000; ++i) traffic.step();
    traffic.die();
    refused += traffic.refused();
  });
  if (std::getenv("BOLIDE_TEST_SEED") == nullptr) CHECK(refused > 0);
}

TEST_CASE("ring: garbage in the data bytes is never read past the end") {
  support::for_seeds(200, [](std::mt19937_64& random) {
    Ring ring(128);
    for (int i = 0; i < 128; ++i) {
      // Often small numbers, so that some headers are right by accident.
      ring.memory.data()[i] = std::byte(one_in(random, 4) ? random() & 0xff : random() & 24);
    }
    ring.memory.control()->tail.store(below(random, 17) * 8);
    Record record;
    uint64_t sum = 0;
    while (ring.out.peek(record) == Peek::kRecord) {
      for (uint64_t i = 0; i < record.size; ++i) sum += static_cast<uint64_t>(record.payload[i]);
      ring.out.pop();
    }
    ring.out.release_space();
    REQUIRE(sum < UINT64_MAX);
    REQUIRE(ring.memory.control()->head.load() <= 128);
  });
}

TEST_CASE("ring: two threads, every record arrives once and in order") {
  constexpr uint64_t kRecords = 60'000;
  Ring ring(1024);
  std::thread producer([&] {
    std::mt19937_64 random(7);
    for (uint64_t i = 0; i < kRecords; ++i) {
      const uint64_t words = 1 + below(random, 12);
      std::byte* to = nullptr;
      while ((to = ring.in.reserve(words * 8, static_cast<uint16_t>(words))) == nullptr) {
        ring.in.publish();
        std::this_thread::yield();
      }
      for (uint64_t w = 0; w < words; ++w) std::memcpy(to + 8 * w, &i, sizeof i);
      ring.in.commit();
      if (one_in(random, 4)) ring.in.publish();
    }
    ring.in.publish();
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kRecords;) {
    Record record;
    const Peek peek = ring.out.peek(record);
    if (peek == Peek::kEmpty) {
      ring.out.release_space();
      std::this_thread::yield();
      continue;
    }
    if (peek == Peek::kCorrupt || record.size != record.type * 8u) {
      ++wrong;
      break;
    }
    for (uint64_t at = 0; at < record.size; at += 8) {
      uint64_t value;
      std::memcpy(&value, record.payload + at, sizeof value);
      wrong += value != i;
    }
    ring.out.pop();
    if (i % 5 == 0) ring.out.release_space();
    ++i;
  }
  ring.out.release_space();
  producer.join();
  CHECK(wrong == 0);
}

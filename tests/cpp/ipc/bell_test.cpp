// The bell: when a client rings, which eventfd, how often; and that no wake-up is lost between a
// client that publishes and a node that goes to sleep.
#include "ipc/bell.h"

#include <doctest/doctest.h>

#include <thread>

#include "ipc/ring_testing.h"
#include "os/event.h"
#include "support/seeds.h"

using namespace bolide;
using namespace bolide::ipc;
using bolide::ipc::testing::Ring;
using support::below;
using support::one_in;

namespace {

BellPage page() { return BellPage{kBellMagic, 1, 0, 0, {}, {}}; }

constexpr Urgency kMoments[] = {Urgency::kWhenSleeping, Urgency::kWhenEmpty, Urgency::kAlways};

}  // namespace

TEST_CASE("bell: a client rings when the node asks for at least as much as the moment serves") {
  for (uint64_t asked = 0; asked <= 3; ++asked) {
    for (Urgency moment : kMoments) {
      CAPTURE(asked);
      CAPTURE(static_cast<uint64_t>(moment));
      BellPage bell = page();
      BellWriter node(&bell);
      BellReader client(&bell);
      node.set(static_cast<Urgency>(asked), Bell::kWaiter);
      CHECK(client.ask(moment).ring == (asked >= static_cast<uint64_t>(moment)));
    }
  }
}

TEST_CASE("bell: it is rung once an epoch, and what was not served is asked again") {
  BellPage bell = page();
  BellWriter node(&bell);
  BellReader client(&bell);
  CHECK_FALSE(client.ask(Urgency::kWhenSleeping).ring);  // nobody has asked yet
  node.set(Urgency::kWhenEmpty, Bell::kSupervisor);
  CHECK_FALSE(client.ask(Urgency::kAlways).ring);
  CHECK(client.ask(Urgency::kWhenEmpty).ring);
  CHECK_FALSE(client.ask(Urgency::kWhenSleeping).ring);
  node.set(Urgency::kAwake, Bell::kWaiter);
  CHECK_FALSE(client.ask(Urgency::kWhenSleeping).ring);
  node.set(Urgency::kAlways, Bell::kWaiter);
  CHECK(client.ask(Urgency::kAlways).ring);
  node.set(Urgency::kAlways, Bell::kWaiter);
  CHECK(client.ask(Urgency::kAlways).ring);
}

TEST_CASE("bell: the word says which event is to be rung, and clients ring for themselves") {
  BellPage bell = page();
  BellWriter node(&bell);
  BellReader first(&bell);
  BellReader second(&bell);
  for (Bell wanted : {Bell::kWaiter, Bell::kSupervisor, Bell::kWaiter}) {
    node.set(Urgency::kAlways, wanted);
    for (BellReader* client : {&first, &second}) {
      const auto answer = client->ask(Urgency::kAlways);
      CHECK(answer.ring);
      CHECK(answer.bell == wanted);
      CHECK_FALSE(client->ask(Urgency::kAlways).ring);
    }
  }
}

namespace {

// A node that sleeps on an event and a client that publishes, as Node and WorkerClient do.
struct Wakefulness {
  explicit Wakefulness(uint64_t seed_) : seed(seed_) {
    auto made = os::Event::create();
    REQUIRE(made.is_ok());
    event = made.take();
  }

  void client() {
    std::mt19937_64 random(seed);
    BellReader reader(&bell);
    const auto ask = [&](Urgency moment) {
      if (!reader.ask(moment).ring) return;
      event.ring();
      ++rings;
    };
    for (uint64_t i = 0; i < records;) {
      for (uint64_t burst = 1 + below(random, 4); burst > 0 && i < records; --burst, ++i) {
        while (!ring.push(8)) {
          ring.in.publish();
          ask(Urgency::kWhenSleeping);  // it sleeps for space
          std::this_thread::yield();
        }
        if (one_in(random, 2)) {
          ring.in.publish();
          ask(Urgency::kAlways);
        }
      }
      if (one_in(random, 3)) continue;
      // It goes to sleep: what lies unread must be told of.
      ring.in.publish();
      ask(Urgency::kWhenSleeping);
      if (one_in(random, 4)) std::this_thread::yield();
    }
    ring.in.publish();
    ask(Urgency::kWhenSleeping);
  }

  uint64_t drain() {
    Record record;
    uint64_t found = 0;
    while (ring.out.peek(record) == RingConsumer::Peek::kRecord) {
      ring.out.pop();
      ++found;
    }
    ring.out.release_space();
    return found;
  }

  // node reads until all has come; false: it slept through a record.
  bool node() {
    std::mt19937_64 random(seed + 1);
    BellWriter writer(&bell);
    for (uint64_t seen = 0; seen < records;) {
      seen += drain();
      if (seen == records) break;
      const auto urgency = static_cast<Urgency>(1 + below(random, 3));
      writer.set(urgency, Bell::kWaiter);
      ++epochs;
      if (const uint64_t found = drain(); found != 0) {
        seen += found;
        continue;
      }
      pollfd item{event.fd(), POLLIN, 0};
      if (os::poll_fds(&item, 1, 20 * kSecond) == 0) return false;
      event.clear();
      if (one_in(random, 2)) writer.set(Urgency::kAwake, Bell::kWaiter);
    }
    return true;
  }

  const uint64_t seed;
  const uint64_t records = 8000;
  BellPage bell = page();
  Ring ring{512};
  os::Event event;
  uint64_t rings = 0;
  uint64_t epochs = 0;
};

}  // namespace

TEST_CASE("bell: two threads, no wake-up is lost and no epoch rung twice") {
  support::for_seeds(6, [](std::mt19937_64& random) {
    Wakefulness both(random());
    std::thread client([&] { both.client(); });
    const bool awake = both.node();
    client.join();
    CHECK(awake);
    CHECK(both.rings <= both.epochs);
  });
}

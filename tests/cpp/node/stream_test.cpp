// stream: how far a worker may go ahead of the consumer, and when it is told.
#include "node/stream.h"

#include <doctest/doctest.h>

using namespace bolide;
using namespace bolide::node;

namespace {

constexpr Nanos kStart = 100 * kSecond;

Stream make(uint64_t limit) {
  Stream stream;
  stream.limit = limit;
  stream.most_bytes = 1 << 20;
  stream.taken_at = kStart;
  return stream;
}

// give grants what is due and tells how much further the worker may go now.
uint64_t give(Stream& stream, Nanos time, bool due = false) {
  Nanos held_back;
  const uint64_t upto = stream.credit(time, due, &held_back);
  if (upto != 0) stream.granted = upto;
  return upto;
}

}  // namespace

TEST_CASE("a limit is kept to the item while it is small") {
  for (uint64_t limit = 1; limit < 16; ++limit) {
    Stream stream = make(limit);
    CHECK(give(stream, kStart) == limit);
    stream.received = limit;
    for (uint64_t taken = 1; taken < 100; ++taken) {
      stream.taken = taken;
      CHECK(give(stream, kStart) == taken + limit);
      stream.received = stream.granted;
    }
  }
}

TEST_CASE("a large limit is given in steps, and what is held back is due soon") {
  Stream stream = make(1000);
  CHECK(give(stream, kStart) == 1000);
  stream.received = 1000;
  Nanos held_back = 0;
  for (stream.taken = 1; stream.taken < 125; ++stream.taken) {
    CHECK(stream.credit(kStart, false, &held_back) == 0);
    CHECK(held_back == kStart + Stream::kHeldBack);
  }
  CHECK(stream.credit(kStart, false, &held_back) == 1125);
  stream.taken = 7;
  CHECK(give(stream, kStart, true) == 1007);
}

TEST_CASE("a limit says nothing about time") {
  Stream stream = make(2);
  CHECK(give(stream, kStart) == 2);
  stream.received = 2;
  Nanos held_back = 0;
  CHECK(stream.credit(kStart + 100 * kSecond, true, &held_back) == 0);
  CHECK(held_back == INT64_MAX);
}

TEST_CASE("without a limit a consumer that takes items is waited for, another one is not") {
  Stream stream = make(0);
  CHECK(give(stream, kStart) == Stream::kFirstCredit);
  stream.received = 16;
  stream.all_bytes = 16;
  CHECK(give(stream, kStart) == Stream::kItemsAhead);
  stream.received = stream.all_bytes = stream.granted;
  Nanos held_back = 0;
  CHECK(stream.credit(kStart, false, &held_back) == 0);
  CHECK(held_back == kStart + Stream::kPatience);  // when it is to be looked at again
  CHECK(give(stream, held_back, true) == 2 * Stream::kItemsAhead);
  stream.received = stream.granted;
  stream.credit(kStart + 2 * kSecond, false, &held_back);
  CHECK(held_back == INT64_MAX);  // the items that come give further credit

  stream.taken = 1;
  stream.taken_at = kStart + 3 * kSecond;
  CHECK(give(stream, kStart + 3 * kSecond) == 0);
}

TEST_CASE("without a limit large items are few") {
  Stream stream = make(0);
  CHECK(give(stream, kStart) == 16);
  stream.received = 4;
  stream.bytes = stream.all_bytes = 4 * 100'000;
  CHECK(stream.may_yield(kStart) == 4 + 6);
  stream.bytes = 2 << 20;
  CHECK(stream.may_yield(kStart) == 4);
  stream.bytes = 0;
  CHECK(stream.may_yield(kStart) == 4 + 10);
}

TEST_CASE("a stream whose consumer is gone runs to its end") {
  for (uint64_t limit : {0, 1, 100}) {
    Stream stream = make(limit);
    give(stream, kStart);
    stream.received = stream.granted;
    stream.dropped = true;
    CHECK(give(stream, kStart) == Stream::kEndless);
    Nanos held_back = 0;
    CHECK(stream.credit(kStart, true, &held_back) == 0);
    CHECK(held_back == INT64_MAX);
  }
}

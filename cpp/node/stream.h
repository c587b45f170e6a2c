// stream: the items of a task that yields them one by one, between the worker that makes them and
// the client that takes them; and how far that worker may go ahead.
//
// An item that comes before it was asked for waits in `ready`; one that was asked for before it
// comes is a pending object in `wanted`, so whoever waits for it waits as for any object. One of
// the two is empty. Not thread safe: the node's lock guards it.
//
// How far ahead. With a limit of the user's: so many items that the consumer has not taken. Without
// one a generator runs to its end whether or not anybody takes its items, as in Ray; but as long as
// somebody does take them, it is held to kItemsAhead and a quarter of the store, so that a slow
// consumer needs no memory for a million items. When nobody has taken one for kPatience, it goes on.
//
// Credit is given in large steps, since each costs a record and perhaps the waking of a worker: an
// eighth of the window at least, when the worker has half of it or less; what is held back for that
// is given after kHeldBack at the latest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/clock.h"
#include "node/task_record.h"
#include "store/object_table.h"

namespace bolide::node {

struct Stream {
  static constexpr uint64_t kItemsAhead = 10'000;
  static constexpr uint64_t kFirstCredit = 16;  // without a limit, until the size of items is known
  static constexpr uint64_t kEndless = UINT64_MAX;
  static constexpr Nanos kPatience = kSecond;
  static constexpr Nanos kHeldBack = 5 * kMillisecond;

  Task* task = nullptr;    // until it has ended
  uint64_t limit = 0;      // of the user; 0: none
  uint64_t most_bytes = 0; // of items that nobody has taken, without a limit
  uint64_t received = 0;   // items that have come, those of earlier attempts included
  uint64_t taken = 0;      // by the consumer
  uint64_t granted = 0;    // the worker may yield items below this index
  uint64_t bytes = 0;      // of the items in `ready`
  uint64_t all_bytes = 0;  // of all that have come
  Nanos taken_at = 0;      // when the consumer last took one
  bool dropped = false;    // the consumer is gone: items are dropped as they come
  std::deque<store::ObjectEntry*> ready;   // each with the stream's reference
  std::deque<store::ObjectEntry*> wanted;  // each with the maker's reference

  // may_yield is the index below which the worker may go at this time.
  uint64_t may_yield(Nanos time) const {
    if (dropped) return kEndless;
    if (limit != 0) return taken + limit;
    if (time - taken_at >= kPatience) return received + kItemsAhead;
    if (received == 0) return kFirstCredit;
    const uint64_t room = bytes >= most_bytes ? 0 : (most_bytes - bytes) / mean_bytes();
    return std::min(taken + kItemsAhead, received + room);
  }

  // window is how many items the worker may be ahead, by what is known.
  uint64_t window() const {
    if (limit != 0) return limit;
    if (received == 0) return kFirstCredit;
    return std::clamp<uint64_t>(most_bytes / mean_bytes(), 1, kItemsAhead);
  }

  uint64_t mean_bytes() const { return all_bytes / received + sizeof(store::ObjectEntry); }

  // credit is what to grant now, 0 if nothing: see above. `held_back` is set to when that which is
  // held back is due, INT64_MAX if nothing is.
  uint64_t credit(Nanos time, bool due, Nanos* held_back) const {
    *held_back = INT64_MAX;
    const uint64_t allowed = may_yield(time);
    if (granted == kEndless) return 0;
    if (allowed <= granted) {
      if (limit == 0 && time - taken_at < kPatience) *held_back = taken_at + kPatience;
      return 0;
    }
    const uint64_t left = granted - std::min(granted, received);
    const uint64_t more = allowed - granted;
    const bool enough = left <= window() / 2 && more >= std::max<uint64_t>(1, window() / 8);
    if (enough || due || allowed == kEndless) return allowed;
    *held_back = time + kHeldBack;
    return 0;
  }
};

}  // namespace bolide::node

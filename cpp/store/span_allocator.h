// span_allocator: which offsets of one chunk are taken. It never touches the chunk's bytes.
//
// Holes lie below `top`, everything above `top` was never used or was given back from the end.
// A request takes the smallest hole that fits (the lowest of equals), else it moves `top`. Holes
// come first because their pages have been touched already: the budget charges the high-water
// mark, and a first touch costs five to ten times the copy. Best fit and not first fit because
// an ordered set gives it in O(log n) without a tree of maxima. Chunks that are filled from the
// front, or that free what they allocated last, never get a hole and pay neither.
//
// Thread safety: none; the owner's lock guards it.
// Invariants: 1. used + holes == top. 2. Holes neither overlap nor touch each other, nor `top`.
// 3. by_size_ and by_offset_ hold the same holes. 4. Sizes and offsets are multiples of
// kAlignment. So nothing is used exactly when top == 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/api.h"

namespace bolide::store {

class BOLIDE_API SpanAllocator {
 public:
  explicit SpanAllocator(uint64_t capacity);

  // allocate returns the offset of span_size(size) free bytes, or nullopt when there is no such
  // stretch.
  std::optional<uint64_t> allocate(uint64_t size);

  // free gives back what allocate(size) returned. False, and nothing changes, when the span is
  // not wholly allocated.
  bool free(uint64_t offset, uint64_t size);

  bool empty() const { return used_ == 0; }
  uint64_t capacity() const { return capacity_; }
  uint64_t used() const { return used_; }
  uint64_t high_water() const { return high_water_; }
  uint64_t largest_free() const {
    const uint64_t largest_hole = by_size_.empty() ? 0 : by_size_.rbegin()->first;
    return std::max(largest_hole, capacity_ - top_);
  }

  // is_valid walks everything and checks the invariants. For tests and audits.
  bool is_valid() const;

 private:
  using Holes = std::map<uint64_t, uint64_t>;  // offset -> size

  void add_hole(uint64_t offset, uint64_t size);
  void remove_hole(Holes::iterator hole);

  const uint64_t capacity_;
  uint64_t top_ = 0;
  uint64_t used_ = 0;
  uint64_t high_water_ = 0;
  Holes by_offset_;
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (size, offset)
};

}  // namespace bolide::store

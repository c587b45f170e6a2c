#include "store/span_allocator.h"

#include <iterator>

#include "base/assert.h"
#include "store/sizes.h"

namespace bolide::store {

SpanAllocator::SpanAllocator(uint64_t capacity) : capacity_(capacity / kAlignment * kAlignment) {}

std::optional<uint64_t> SpanAllocator::allocate(uint64_t size) {
  if (size > capacity_) return std::nullopt;
  const uint64_t span = span_size(size);
  const auto best = by_size_.lower_bound({span, 0});
  uint64_t offset;
  if (best != by_size_.end()) {
    const auto [hole, start] = *best;
    offset = start;
    remove_hole(by_offset_.find(start));
    if (hole > span) add_hole(start + span, hole - span);
  } else {
    if (span > capacity_ - top_) return std::nullopt;
    offset = top_;
    top_ += span;
    high_water_ = std::max(high_water_, top_);
  }
  used_ += span;
  BOLIDE_AUDIT(is_valid(), "the span allocator broke an invariant in allocate");
  return offset;
}

bool SpanAllocator::free(uint64_t offset, uint64_t size) {
  if (size > top_ || offset % kAlignment != 0) return false;
  const uint64_t span = span_size(size);
  if (span > top_ || offset > top_ - span) return false;

  uint64_t start = offset;
  uint64_t end = offset + span;
  auto after = by_offset_.lower_bound(offset);
  auto before = after == by_offset_.begin() ? by_offset_.end() : std::prev(after);
  if (after != by_offset_.end() && after->first < end) return false;
  if (before != by_offset_.end() && before->first + before->second > start) return false;

  if (after != by_offset_.end() && after->first == end) {
    end += after->second;
    remove_hole(after);
  }
  if (before != by_offset_.end() && before->first + before->second == start) {
    start = before->first;
    remove_hole(before);
  }
  if (end == top_) {
    top_ = start;
  } else {
    add_hole(start, end - start);
  }
  used_ -= span;
  BOLIDE_AUDIT(is_valid(), "the span allocator broke an invariant in free");
  return true;
}

bool SpanAllocator::is_valid() const {
  if (top_ > capacity_ || high_water_ > capacity_ || top_ > high_water_) return false;
  if (by_offset_.size() != by_size_.size()) return false;
  uint64_t holes = 0;
  uint64_t previous_end = 0;
  bool first = true;
  for (const auto& [offset, size] : by_offset_) {
    if (size == 0 || size % kAlignment != 0 || offset % kAlignment != 0) return false;
    if (!first && offset <= previous_end) return false;
    if (!by_size_.contains({size, offset})) return false;
    holes += size;
    previous_end = offset + size;
    first = false;
  }
  if (!by_offset_.empty() && previous_end >= top_) return false;
  return used_ + holes == top_;
}

void SpanAllocator::add_hole(uint64_t offset, uint64_t size) {
  by_offset_.emplace(offset, size);
  by_size_.emplace(size, offset);
}

void SpanAllocator::remove_hole(Holes::iterator hole) {
  by_size_.erase({hole->second, hole->first});
  by_offset_.erase(hole);
}

}  // namespace bolide::store

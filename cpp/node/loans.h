// loans: which stored arguments workers have been lent, for tasks whose arguments take so much of
// the store that not all tasks that run could have theirs in memory at a time. Such tasks are *heavy*;
// the others, one for each CPU, take an eighth of the store together at most, and are not counted.
//
// It decides nothing about tasks: node_admission.cpp does. Thread safety: the node's lock guards it.
// Invariant: bytes_ is the sum of the sizes in lent_, each object counted once however many tasks
// have been lent it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "base/ids.h"

namespace bolide::node {

class Loans {
 public:
  Loans(uint64_t budget, double cpus)
      : most_(budget - budget / 8),
        heavy_from_(static_cast<uint64_t>(static_cast<double>(budget / 8) / std::max(cpus, 1.0))) {}

  bool is_heavy(uint64_t bytes) const { return bytes > heavy_from_; }

  void lend(ObjectId object, uint64_t size) {
    if (lent_[object.value]++ == 0) bytes_ += size;
  }
  void give_back(ObjectId object, uint64_t size) {
    const auto found = lent_.find(object.value);
    if (--found->second != 0) return;
    lent_.erase(found);
    bytes_ -= size;
  }

  bool is_lent(ObjectId object) const { return lent_.contains(object.value); }
  // has_room: that many bytes more may be lent. If nothing is, whatever one task needs.
  bool has_room(uint64_t bytes) const { return lent_.empty() || bytes_ + bytes <= most_; }
  uint64_t bytes() const { return bytes_; }

 private:
  const uint64_t most_;
  const uint64_t heavy_from_;
  uint64_t bytes_ = 0;
  std::unordered_map<uint64_t, uint32_t> lent_;  // to how many tasks
};

}  // namespace bolide::node

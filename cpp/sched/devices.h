// devices: the GPUs of a node one by one, and which of them a worker has: whole ones, or a part of
// one. The ledger counts how much is free in all; a task can be placed only where that much is free
// on single devices. Not thread safe: the node's lock guards it.
//
// Invariant: the free part of a device = kUnit less the shares of it that are held.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sched/amount.h"

namespace bolide::sched {

struct Share {
  uint32_t device;
  Amount amount;
  friend bool operator==(const Share&, const Share&) = default;
};
using Shares = std::vector<Share>;

class Devices {
 public:
  // set_total makes as many devices as the amount has units; the last may be a part of one.
  void set_total(Amount total) {
    free_.clear();
    for (; total > 0; total -= kUnit) free_.push_back(std::min(total, kUnit));
  }

  // hold makes it have these devices, and of them these parts.
  void hold(const Shares& shares) {
    free_.clear();
    for (const Share& share : shares) {
      if (share.device >= free_.size()) free_.resize(share.device + 1, 0);
      free_[share.device] += share.amount;
    }
  }

  bool fits(Amount amount) const {
    if (amount <= 0) return true;
    if (amount < kUnit) return best(amount) < free_.size();
    return std::count(free_.begin(), free_.end(), kUnit) >= amount / kUnit;
  }

  // take gives what fits() has found room for. Parts are packed: the fullest device that has room.
  Shares take(Amount amount) {
    Shares shares;
    if (amount > 0 && amount < kUnit) {
      shares.push_back({static_cast<uint32_t>(best(amount)), amount});
    }
    for (uint32_t i = 0; amount >= kUnit && i < free_.size(); ++i) {
      if (free_[i] != kUnit) continue;
      shares.push_back({i, kUnit});
      amount -= kUnit;
    }
    for (const Share& share : shares) free_[share.device] -= share.amount;
    return shares;
  }

  void give(const Shares& shares) {
    for (const Share& share : shares) free_[share.device] += share.amount;
  }

 private:
  // best is the device with the least room that is enough; free_.size() if there is none.
  size_t best(Amount amount) const {
    size_t found = free_.size();
    for (size_t i = 0; i < free_.size(); ++i) {
      if (free_[i] >= amount && (found == free_.size() || free_[i] < free_[found])) found = i;
    }
    return found;
  }

  std::vector<Amount> free_;
};

}  // namespace bolide::sched

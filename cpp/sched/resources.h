// resources: named quantities (CPU, GPU, memory, custom) in units of 1/10000, what a task needs
// of them, and the ledger of what is free.
//
// Names are interned to small indexes once, so the ledger is an array and the usual need, one
// CPU, is one comparison. Not thread safe: the node's lock guards it.
//
// Invariant: free = total - sum of what is held. The CPU may go below zero for a moment: a
// worker that was blocked and runs again takes its CPU back without waiting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/api.h"
#include "sched/amount.h"
#include "sched/devices.h"

namespace bolide::sched {

inline constexpr uint32_t kCpu = 0;  // index of "CPU"
inline constexpr uint32_t kGpu = 1;  // index of "GPU": of these, single ones are given out
inline constexpr uint32_t kMemory = 2;  // index of "memory", in bytes

struct Quantity {
  uint32_t resource;
  Amount amount;
};

// Needs, ordered by resource index, no zeroes.
using Need = std::vector<Quantity>;

// Room is how much there is and how much is free of each resource, by index: a node's, or that of
// one bundle of a placement group.
class BOLIDE_API Room {
 public:
  // widen makes room for indexes below `kinds`.
  void widen(size_t kinds) {
    if (kinds <= total_.size()) return;
    total_.resize(kinds, 0);
    free_.resize(kinds, 0);
  }
  size_t kinds() const { return total_.size(); }

  void set_total(uint32_t resource, Amount amount);
  Amount total(uint32_t resource) const { return total_[resource]; }
  Amount free(uint32_t resource) const { return free_[resource]; }

  bool fits(const Need& need) const {
    for (const Quantity& q : need) {
      if (free_[q.resource] < q.amount) return false;
      if (q.resource == kGpu && !devices_.fits(q.amount)) return false;
    }
    return true;
  }
  // feasible: would fit if nothing were held.
  bool feasible(const Need& need) const {
    for (const Quantity& q : need) {
      if (total_[q.resource] < q.amount) return false;
    }
    return true;
  }
  void take(const Need& need) {
    for (const Quantity& q : need) free_[q.resource] -= q.amount;
  }
  void give(const Need& need) {
    for (const Quantity& q : need) free_[q.resource] += q.amount;
  }
  // take_devices gives out the GPUs of a need that fits; give_devices takes them back.
  Shares take_devices(const Need& need) { return devices_.take(amount_of(need, kGpu)); }
  void give_devices(Shares* shares) {
    devices_.give(*shares);
    shares->clear();
  }
  // hold_devices: of GPUs this room has these and no others.
  void hold_devices(const Shares& shares) { devices_.hold(shares); }
  static Amount amount_of(const Need& need, uint32_t resource) {
    for (const Quantity& q : need) {
      if (q.resource == resource) return q.amount;
    }
    return 0;
  }
  void take_cpu(Amount amount) { free_[kCpu] -= amount; }
  void give_cpu(Amount amount) { free_[kCpu] += amount; }

  // balanced: nothing is held.
  bool balanced() const { return free_ == total_; }

 private:
  std::vector<Amount> total_;
  std::vector<Amount> free_;
  Devices devices_;
};

// Ledger is the node's room, and the names of its resources.
class BOLIDE_API Ledger : public Room {
 public:
  Ledger() {
    intern("CPU");
    intern("GPU");
    intern("memory");
  }

  // intern gives the index of a name, making one with nothing of it if it is new.
  uint32_t intern(std::string_view name);
  const std::string& name(uint32_t resource) const { return names_[resource]; }

  // "2 CPU, 1 GPU" for error sentences.
  std::string describe(const Need& need) const;
  // What of `need` the room does not have at all: "3 GPU (this node has 1)".
  std::string missing(const Need& need, const Room& room, std::string_view who) const;
  std::string missing(const Need& need) const { return missing(need, *this, "this node"); }

 private:
  std::vector<std::string> names_;
};

}  // namespace bolide::sched

// groups: placement groups, resources that are reserved together, in bundles that tasks and actors
// run in.
//
// A group waits until all its bundles fit at a time; then what they need is the group's until it
// is removed and the last worker that has something of it is gone. A scheduling class may belong
// to a group: its tasks find room in one bundle, or in any, and nowhere else.
//
// Thread safety: the node's lock guards it. Part of Scheduler, which alone changes it.
//
// Invariants
//   1. What a placed group holds of the node's ledger is the sum of what its bundles need.
//   2. leases = workers that hold something of a bundle, idle ones not counted.
//   3. A removed group has no ready tasks and no class that can be found by its key.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "sched/resources.h"
#include "sched/task.h"

namespace bolide::sched {

struct Bundle {
  Need need;
  Room room;       // of tasks in it; nothing of it is held before the group is placed
  Shares devices;  // the GPUs that it has got
};

enum class GroupState : uint8_t {
  kWaiting,     // for room
  kImpossible,  // this node never has that room
  kPlaced,
  kRemoved,     // it ends when the last worker has left
};

inline constexpr int32_t kAnyBundle = -1;

struct Group {
  std::vector<Bundle> bundles;
  GroupState state = GroupState::kWaiting;
  uint32_t leases = 0;
  std::vector<SchedulingClass*> classes;
  SchedulingClass claim;  // has no tasks; it keeps others from taking the room that this waits for

  // room_for is the first bundle where the class finds room now; nullptr: there is none.
  Room* room_for(const SchedulingClass& cls) {
    if (state != GroupState::kPlaced) return nullptr;
    if (cls.bundle != kAnyBundle) {
      Room& room = bundles[static_cast<size_t>(cls.bundle)].room;
      return room.fits(cls.need) ? &room : nullptr;
    }
    for (Bundle& bundle : bundles) {
      if (bundle.room.fits(cls.need)) return &bundle.room;
    }
    return nullptr;
  }
  bool feasible(const SchedulingClass& cls) const {
    if (state == GroupState::kImpossible) return false;
    if (cls.bundle != kAnyBundle) {
      return bundles[static_cast<size_t>(cls.bundle)].room.feasible(cls.need);
    }
    for (const Bundle& bundle : bundles) {
      if (bundle.room.feasible(cls.need)) return true;
    }
    return false;
  }
  Amount free_cpu(const SchedulingClass& cls) const {
    if (cls.bundle != kAnyBundle) return bundles[static_cast<size_t>(cls.bundle)].room.free(kCpu);
    Amount sum = 0;
    for (const Bundle& bundle : bundles) sum += bundle.room.free(kCpu);
    return sum;
  }
};

}  // namespace bolide::sched

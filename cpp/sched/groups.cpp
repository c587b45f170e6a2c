// groups: how placement groups come to their room, and how they give it back. Part of Scheduler.
#include "sched/groups.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/scheduler.h"

namespace bolide::sched {
namespace {

// all_fit tries the bundles one after another: GPUs cannot be told from the sum of what they need.
bool all_fit(Room room, const Group& group) {
  for (const Bundle& bundle : group.bundles) {
    if (!room.fits(bundle.need)) return false;
    room.take(bundle.need);
    room.take_devices(bundle.need);
  }
  return true;
}

Need sum_of(const std::vector<Bundle>& bundles) {
  Need sum;
  for (const Bundle& bundle : bundles) {
    for (const Quantity& q : bundle.need) {
      const auto same = [&](const Quantity& other) { return other.resource == q.resource; };
      const auto it = std::find_if(sum.begin(), sum.end(), same);
      if (it == sum.end()) {
        sum.push_back(q);
      } else {
        it->amount = std::min(it->amount + q.amount, kMostAmount);
      }
    }
  }
  return sum;
}

}  // namespace

Group* Scheduler::add_group(const std::vector<Need>& bundles, bool possible) {
  auto fresh = std::make_unique<Group>();
  Group& group = *fresh;
  for (const Need& need : bundles) {
    Bundle& bundle = group.bundles.emplace_back();
    bundle.need = need;
    bundle.room.widen(ledger_.kinds());
    for (const Quantity& q : need) bundle.room.set_total(q.resource, q.amount);
  }
  group.claim.need = sum_of(group.bundles);
  Room idle;
  idle.widen(ledger_.kinds());
  for (uint32_t i = 0; i < ledger_.kinds(); ++i) idle.set_total(i, ledger_.total(i));
  if (possible && all_fit(std::move(idle), group)) {
    waiting_groups_.push_back(&group);
  } else {
    group.state = GroupState::kImpossible;
  }
  groups_.push_back(std::move(fresh));
  return &group;
}

void Scheduler::remove_group(Group* group) {
  BOLIDE_DCHECK(group->state != GroupState::kRemoved, "a group is removed twice");
  std::erase(waiting_groups_, group);
  if (reserved_ == &group->claim) reserved_ = nullptr;
  const bool placed = group->state == GroupState::kPlaced;
  group->state = GroupState::kRemoved;
  for (const SchedulingClass* cls : group->classes) {
    BOLIDE_DCHECK(cls->ready.empty(), "a group is removed before its tasks");
    by_key_.erase(cls->key);
  }
  if (group->leases == 0) dissolve(group, placed);
}

// place_groups: the oldest first, but one that finds no room keeps none that does from its own,
// unless it has waited for long.
void Scheduler::place_groups(Nanos now) {
  for (size_t i = 0; i < waiting_groups_.size(); ++i) {
    Group& group = *waiting_groups_[i];
    if (reserved_ != nullptr && reserved_ != &group.claim) continue;
    if (!all_fit(ledger_, group)) {
      if (group.claim.starving_since < 0) group.claim.starving_since = now;
      continue;
    }
    ledger_.take(group.claim.need);
    pin(group.claim.need, +1);
    for (Bundle& bundle : group.bundles) {
      bundle.devices = ledger_.take_devices(bundle.need);
      bundle.room.hold_devices(bundle.devices);
    }
    group.state = GroupState::kPlaced;
    group.claim.starving_since = -1;
    waiting_groups_.erase(waiting_groups_.begin() + static_cast<std::ptrdiff_t>(i--));
    if (reserved_ == &group.claim) reserved_ = nullptr;
  }
}

// leave_room: a worker has something of the class's room no longer.
void Scheduler::leave_room(Worker& worker, const Need& need) {
  worker.room->give(need);
  worker.room->give_devices(&worker.devices);
  worker.room = nullptr;
  Group* group = worker.cls->group;
  worker.cls = nullptr;
  if (group == nullptr || --group->leases > 0) return;
  if (group->state == GroupState::kRemoved) dissolve(group, true);
}

// dissolve gives the group's room back, if it had got it, and forgets it and its classes.
void Scheduler::dissolve(Group* group, bool placed) {
  if (placed) {
    ledger_.give(group->claim.need);
    pin(group->claim.need, -1);
    for (Bundle& bundle : group->bundles) ledger_.give_devices(&bundle.devices);
  }
  const auto is_ours = [group](const auto& cls) { return cls->group == group; };
  const auto forget = [&](Worker* worker) {
    if (worker->served != nullptr && is_ours(worker->served)) worker->served = nullptr;
  };
  std::for_each(leased_.begin(), leased_.end(), forget);
  for (const auto& environment : environments_) {
    std::for_each(environment->idle.begin(), environment->idle.end(), forget);
  }
  std::erase_if(classes_, is_ours);
  std::erase_if(groups_, [group](const auto& other) { return other.get() == group; });
}

}  // namespace bolide::sched

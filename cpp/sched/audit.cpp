// audit: whether the scheduler's counts are those of its workers, groups and queues. Part of
// Scheduler, for tests, the simulator and builds that check themselves.
#include <algorithm>
#include <map>

#include "sched/scheduler.h"

namespace bolide::sched {
namespace {

// What is held of each room, by resource.
class Held {
 public:
  void add(const Room* room, uint32_t resource, Amount amount) {
    auto& amounts = by_room_[room];
    if (amounts.size() <= resource) amounts.resize(resource + 1, 0);
    amounts[resource] += amount;
  }
  void add(const Room* room, const Need& need) {
    for (const Quantity& q : need) add(room, q.resource, q.amount);
  }
  bool is(const Room& room) const {
    const auto it = by_room_.find(&room);
    for (uint32_t i = 0; i < room.kinds(); ++i) {
      const bool none = it == by_room_.end() || i >= it->second.size();
      if (room.total(i) - room.free(i) != (none ? 0 : it->second[i])) return false;
    }
    return true;
  }

 private:
  std::map<const Room*, std::vector<Amount>> by_room_;
};

}  // namespace

bool Scheduler::audit(const std::vector<Worker*>& workers) const {
  size_t behind = 0;
  size_t waiting = 0;
  size_t dedicated = 0;
  size_t leases = 0;
  Held held;
  for (const Worker* worker : workers) {
    if (worker->state == WorkerState::kIdle && worker->outstanding != 0) return false;
    const bool is_dedicated = worker->state == WorkerState::kDedicated;
    if (!is_dedicated && worker->state != WorkerState::kLeased) continue;
    held.add(worker->room, is_dedicated ? held_by(*worker) : worker->cls->need);
    if (worker->cls->group != nullptr) ++leases;
    if (is_dedicated) {
      ++dedicated;
      continue;
    }
    behind += worker->outstanding > 0 ? worker->outstanding - 1 : 0;
    if (worker->waiting()) {
      held.add(worker->room, kCpu, -worker->cls->cpu);
      ++waiting;
    }
  }
  for (const auto& group : groups_) {
    leases -= group->leases;
    const bool holds = group->state == GroupState::kPlaced || group->leases > 0;
    if (holds) held.add(&ledger_, group->claim.need);
    for (const Bundle& bundle : group->bundles) {
      if (!held.is(bundle.room)) return false;
    }
  }
  size_t ready = 0;
  for (const auto& cls : classes_) {
    if (cls->feasible) ready += cls->ready.size();
  }
  return held.is(ledger_) && leases == 0 && behind == behind_ && waiting == waiting_ &&
         ready == ready_ && dedicated == dedicated_;
}

}  // namespace bolide::sched

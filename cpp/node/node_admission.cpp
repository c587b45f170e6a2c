// node_admission: tasks whose stored arguments take much of the store (loans.h) begin only when these
// have room in memory beside those of the other such tasks that run. Otherwise each could have a part
// of its arguments, and none would ever have all.
//
// A task that has to wait leaves the scheduler, so that it is in nobody's way, and is submitted again
// when others have ended; those that wait go in the order in which they came. When all that have been
// lent arguments are blocked in get or wait, nobody waits for them, since they may wait for this one:
// then the task begins, and if there is really no room it fails as others do.
#include <algorithm>
#include <unordered_set>

#include "node/node.h"
#include "store/sizes.h"

namespace bolide::node {

// weigh notes whether the task is heavy; false: it was failed, because it can never run.
bool Node::weigh(Task* task) {
  uint64_t bytes = 0;
  std::unordered_set<uint64_t> seen;
  const auto add = [&](uint64_t id) {
    const ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding == store::Holding::kStored) bytes += store::span_size(entry->where.size);
  };
  for (uint64_t id : task->dependencies()) add(id);
  if (!loans_.is_heavy(bytes)) return true;
  bytes = 0;  // one that is passed several times is lent once
  for (uint64_t id : task->dependencies()) {
    if (seen.insert(id).second) add(id);
  }
  task->heavy = loans_.is_heavy(bytes);
  const uint64_t budget = objects_.registry().budget();
  if (bytes <= budget) return true;
  if (task->calls != nullptr) calls_.forget(task);
  fail(task, SystemErrorKind::kObjectStoreFull,
       "the arguments of '" + task_name(task) + "' take " + store::amount(bytes) +
           " of the object store together, more than all of its " + store::amount(budget) +
           "; pass fewer at a time, pass the references in a list and get one after the other, or "
           "start with a larger object_store_memory");
  return false;
}

bool Node::admits(sched::Task& heavy) {
  auto* task = static_cast<Task*>(&heavy);
  const bool is_next = held_back_.empty() || admitting_ == task;
  if (is_next && may_borrow(task)) return true;
  held_back_.push_back(task);
  return false;
}

bool Node::may_borrow(Task* task) {
  uint64_t more = 0;
  std::unordered_set<uint64_t> seen;
  for (uint64_t id : task->dependencies()) {
    const ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding != store::Holding::kStored || loans_.is_lent(entry->id)) continue;
    if (seen.insert(id).second) more += store::span_size(entry->where.size);
  }
  return loans_.has_room(more) ||
         std::all_of(borrowers_.begin(), borrowers_.end(),
                     [](const auto& one) { return one.second->worker.waiting(); });
}

// admit_held submits those again that may begin now.
void Node::admit_held() {
  while (!held_back_.empty() && may_borrow(held_back_.front())) {
    admitting_ = held_back_.front();
    held_back_.pop_front();
    scheduler_.submit(admitting_, coarse_now_);
  }
  admitting_ = nullptr;
}

void Node::lend_heavy(WorkerLink& link, Task* task) {
  borrowers_.emplace_back(task, &link);
  for (uint64_t id : task->dependencies()) {
    const ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding != store::Holding::kStored) continue;
    loans_.lend(entry->id, store::span_size(entry->where.size));
  }
}

void Node::take_heavy_back(Task* task) {
  std::erase_if(borrowers_, [task](const auto& one) { return one.first == task; });
  for (uint64_t id : task->dependencies()) {
    const ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding != store::Holding::kStored) continue;
    loans_.give_back(entry->id, store::span_size(entry->where.size));
  }
}

}  // namespace bolide::node

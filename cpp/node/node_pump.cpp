// node_pump: reading all rings, and sleeping so that clients know when to wake the node.
#include <algorithm>

#include "node/node.h"
#include "os/event.h"
#include "os/futex.h"

namespace bolide::node {

bool Node::looks_empty() const {
  const size_t count = polled_count_.load(std::memory_order_acquire);  // partner: add_link
  for (size_t i = 0; i < count; ++i) {
    // A link that was removed meanwhile is kept in buried_ until nobody polls.
    const WorkerLink* link = polled_[i].load(std::memory_order_acquire);  // partner: add_link
    if (link != nullptr && !link->looks_empty()) return false;
  }
  return true;
}

bool Node::drain() {
  coarse_now_ = now();
  submits_since_drain_ = 0;
  drain_releases();
  bool found = false;
  const size_t count = polled_count_.load(std::memory_order_relaxed);  // written under the lock
  for (size_t i = 0; i < count; ++i) {
    WorkerLink* link = polled_[i].load(std::memory_order_relaxed);  // written under the lock
    if (!link->looks_empty()) found |= drain_link(*link);
  }
  scheduler_.dispatch(coarse_now_);
  flush_links();
  return found;
}

void Node::drain_releases() {
  if (!has_released_.load(std::memory_order_acquire)) return;  // partner: release
  std::vector<ObjectEntry*> released;
  {
    MutexLock lock(release_mutex_);
    released.swap(released_);
    has_released_.store(false, std::memory_order_relaxed);  // written under release_mutex_
  }
  for (ObjectEntry* entry : released) objects_.release(entry);
  released.clear();
  MutexLock lock(release_mutex_);
  if (released_.empty()) released_.swap(released);  // keep the memory
}

void Node::flush_links() {
  for (WorkerLink* link : dirty_) link->flush();
  dirty_.clear();
}

void Node::set_bell(ipc::Urgency urgency, ipc::Bell bell) { bell_.set(urgency, bell); }

ipc::Urgency Node::background_urgency() const {
  if (watched_by_queues_ > 0 || space_wanted_ > 0) return ipc::Urgency::kAlways;
  if (scheduler_.ready() > 0 || !dependents_.empty()) return ipc::Urgency::kWhenEmpty;
  return ipc::Urgency::kWhenSleeping;
}

void Node::refresh_bell() {
  if (has_leader()) return;
  const ipc::Urgency urgency = background_urgency();
  if (urgency > asked_in_background_) {
    asked_in_background_ = urgency;
    set_bell(urgency, ipc::Bell::kSupervisor);
  }
  const auto look = scheduler_.next_look(coarse_now_);
  if (look.has_value() && *look < supervisor_until_) nudge_supervisor();
}

void Node::nudge_supervisor() {
  supervisor_until_ = 0;
  supervisor_event_.ring();
}

void Node::lead_begins() { set_bell(ipc::Urgency::kAwake, ipc::Bell::kWaiter); }

void Node::before_sleep() {
  buried_.clear();  // this thread is the only one that polls, and it holds the lock
  set_bell(ipc::Urgency::kAlways, ipc::Bell::kWaiter);
  const Nanos time = now();
  leader_look_ = scheduler_.next_look(time).value_or(INT64_MAX);
  for (const auto& [id, link] : links_) {
    if (link->has_overflow()) leader_look_ = std::min(leader_look_, time + kMillisecond);
  }
}

void Node::sleep(Nanos until) {
  pollfd item{waiter_event_.fd(), POLLIN, 0};
  const Nanos left = std::min(until, leader_look_) - now();
  if (left > 0 && os::poll_fds(&item, 1, left) > 0) waiter_event_.clear();
}

void Node::after_sleep() { set_bell(ipc::Urgency::kAwake, ipc::Bell::kWaiter); }

void Node::lead_ends() {
  buried_.clear();
  asked_in_background_ = background_urgency();
  set_bell(asked_in_background_, ipc::Bell::kSupervisor);
  // What was published before the bell's word changed has rung nobody.
  if (!looks_empty()) drain();
  const auto look = scheduler_.next_look(coarse_now_);
  if (look.has_value() && *look < supervisor_until_) nudge_supervisor();
}

}  // namespace bolide::node

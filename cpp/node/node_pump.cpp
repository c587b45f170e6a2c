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
  fail_unsendable();
  if (!held_back_.empty()) admit_held();
  if (!room_requests_.empty() || spiller_.waits_for_room()) serve_room();
  if (!unreferenced_.empty()) end_unreferenced_actors();
  bool busy = false;
  for (WorkerLink* link : dirty_) {
    link->flush();
    if (!link->needs_attention) continue;
    link->needs_attention = link->has_overflow();  // what does not fit yet is to be noticed, too
    busy |= link->is_busy();
  }
  if (busy) attention_event_.ring();
  std::erase_if(dirty_, [](WorkerLink* link) { return !link->has_overflow(); });
}

// set_bell costs a transfer of the bell's line to each worker's core, so it is left alone where
// nothing changes.
void Node::set_bell(ipc::Urgency urgency, ipc::Bell bell) {
  if (urgency == ipc::Urgency::kAwake && bell_urgency_ == urgency) return;
  bell_urgency_ = urgency;
  bell_.set(urgency, bell);
}

// urgency_of_waits is what those who wait without pumping themselves ask for: event loops, workers,
// tasks whose arguments are not there. Who makes what they wait for may go on with something long.
ipc::Urgency Node::urgency_of_waits() const {
  const bool somebody = !watchers_.empty() || !dependents_.empty() || space_wanted_ > 0;
  return somebody ? ipc::Urgency::kAlways : ipc::Urgency::kWhenSleeping;
}

ipc::Urgency Node::background_urgency() const {
  const ipc::Urgency waits = urgency_of_waits();
  return scheduler_.ready() > 0 ? std::max(waits, ipc::Urgency::kWhenEmpty) : waits;
}

// refresh_bell is called after a change that nobody may be awake to follow up.
void Node::refresh_bell() {
  if (has_leader()) {
    const auto soon = scheduler_.next_look(coarse_now_);
    if (soon.has_value() && *soon < leader_look_) {
      leader_look_ = *soon;
      waiter_event_.ring();
    }
    return;
  }
  const ipc::Urgency urgency = urgency_of_waits();
  if (urgency > asked_in_background_) {
    asked_in_background_ = urgency;
    set_bell(urgency, ipc::Bell::kSupervisor);
    drain_unrung();
  }
  const auto look = scheduler_.next_look(coarse_now_);
  if (look.has_value() && *look < supervisor_until_) nudge_supervisor();
}

// drain_unrung: what was published before the bell's word changed has rung nobody.
void Node::drain_unrung() {
  if (looks_empty()) return;
  drain();
  if (!looks_empty()) nudge_supervisor();
}

void Node::nudge_supervisor() {
  supervisor_until_ = 0;
  supervisor_event_.ring();
}

void Node::lead_begins() {
  asked_in_background_ = ipc::Urgency::kAwake;
  leader_look_ = 0;  // awake: it will look by itself
  set_bell(ipc::Urgency::kAwake, ipc::Bell::kWaiter);
}

void Node::before_sleep() {
  buried_.clear();  // this thread is the only one that polls, and it holds the lock
  set_bell(ipc::Urgency::kAlways, ipc::Bell::kWaiter);
  const Nanos time = now();
  leader_look_ = scheduler_.next_look(time).value_or(INT64_MAX);
  if (!dirty_.empty()) leader_look_ = std::min(leader_look_, time + kMillisecond);
  sleep_look_ = leader_look_;
}

bool Node::sleep(Nanos until) {
  pollfd item{waiter_event_.fd(), POLLIN, 0};
  const Nanos left = std::min(until, sleep_look_) - now();
  const int ready = left > 0 ? os::poll_fds(&item, 1, left) : 0;
  if (ready > 0) waiter_event_.clear();
  return ready >= 0;
}

void Node::after_sleep() {
  leader_look_ = 0;
  set_bell(ipc::Urgency::kAwake, ipc::Bell::kWaiter);
}

void Node::lead_ends() {
  if (closed()) return;
  buried_.clear();
  if (tasks_ == 0 && urgency_of_waits() == ipc::Urgency::kWhenSleeping) {
    // Nothing runs that could have something urgent to say, and in a loop of calls the next
    // wait is near: the bell stays as it is, until the supervisor finds that none has come.
    asked_in_background_ = ipc::Urgency::kWhenSleeping;
    lead_ended_ = coarse_now_;
    if (supervisor_until_ > lead_ended_ + 2 * kStayAwake) nudge_supervisor();
    return;
  }
  asked_in_background_ = background_urgency();
  set_bell(asked_in_background_, ipc::Bell::kSupervisor);
  drain_unrung();
  if (!dirty_.empty()) nudge_supervisor();
  refresh_bell();
}

}  // namespace bolide::node

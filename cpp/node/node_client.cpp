// node_client: what the driver calls on its embedded node.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

constexpr ClientId kDriver{1};
constexpr uint32_t kSubmitsPerDrain = 32;
constexpr size_t kReleasesPerNudge = 4096;
constexpr uint64_t kLargeObject = 1 << 20;

}  // namespace

ObjectId Node::next_ids(uint32_t count) {
  const ObjectId id = make_object_id(kDriver, next_counter_);
  next_counter_ += count;
  return id;
}

Result<ObjectEntry*> Node::submit(const SubmitRequest& request) {
  ipc::TaskHeader header{};
  header.function = request.function;
  header.scheduling_class = request.scheduling_class;
  header.dependencies = request.dependency_count;
  header.contained = request.contained_count;
  header.argument_bytes = request.argument_bytes;
  header.name_bytes = request.name_bytes;
  header.returns = request.returns;
  header.max_retries = request.max_retries;
  header.flags = request.flags;

  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  Task* task = Task::make(task_memory_, header);
  ipc::Writer body(task->body());
  body.bytes(request.dependencies, request.dependency_count * sizeof(uint64_t));
  body.bytes(request.contained, request.contained_count * sizeof(uint64_t));
  body.bytes(request.arguments, request.argument_bytes);
  body.bytes(request.name, request.name_bytes);
  drain_releases();
  const uint32_t ids = (request.flags & ipc::kStreaming) != 0 ? 2 : request.returns;
  task->header.task = next_ids(std::max<uint32_t>(1, ids)).value;
  task->stream_limit = request.stream_limit;
  auto first = admit(task, nullptr);
  if (!first.is_ok()) return first;
  if (++submits_since_drain_ >= kSubmitsPerDrain && !has_leader()) {
    drain();
    submit_drained_ = coarse_now_;
  } else {
    flush_links();
  }
  refresh_bell();
  return first;
}

// book_value does what is special about the value that an object was put with: a function, an
// actor. On an error the object is as if it had not been put.
Status Node::book_value(ObjectEntry* entry, ClientId owner) {
  if ((entry->value_flags & ipc::kFunction) != 0) ++functions_;
  if ((entry->value_flags & ipc::kGroup) != 0) return declare_group(entry);
  if ((entry->value_flags & ipc::kActor) == 0) return Status();
  return declare_actor(entry, owner);
}

Result<ObjectEntry*> Node::put_inline(const void* data, uint64_t size,
                                      std::span<const uint64_t> contained, uint8_t flags) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  ObjectEntry* entry = objects_.add(next_ids(1), 1);
  objects_.table().set_inline(entry, data, size, flags);
  Status held = objects_.hold_contained(entry, contained.data(),
                                        static_cast<uint32_t>(contained.size()));
  if (held.is_ok() && flags != 0) held = book_value(entry, kDriver);
  if (!held.is_ok()) {
    objects_.release(entry);
    return held;
  }
  return entry;
}

Result<ObjectEntry*> Node::put_stored(const store::Slot& slot,
                                      std::span<const uint64_t> contained, uint8_t flags,
                                      bool pinned) {
  MutexLock lock(mutex_);
  if (closed_) {
    free_span(slot.where);
    return closed_status();
  }
  ObjectEntry* entry = objects_.add(next_ids(1), 1);
  Status sealed = objects_.seal(entry, slot.where, kDriver, flags);
  if (!sealed.is_ok()) {
    objects_.table().erase(entry);
    free_span(slot.where);
    return sealed;
  }
  Status held = objects_.hold_contained(entry, contained.data(),
                                        static_cast<uint32_t>(contained.size()));
  if (held.is_ok() && flags != 0) held = book_value(entry, kDriver);
  if (!held.is_ok()) {
    objects_.release(entry);
    return held;
  }
  if (pinned) entry->presence.pin();
  return entry;
}

ObjectEntry* Node::acquire(ObjectId id) {
  MutexLock lock(mutex_);
  ObjectEntry* entry = objects_.find(id);
  if (entry != nullptr) ++entry->refs;
  return entry;
}

ObjectEntry* Node::find(ObjectId id) {
  MutexLock lock(mutex_);
  return objects_.find(id);
}

void Node::add_reference(ObjectEntry* entry) {
  MutexLock lock(mutex_);
  ++entry->refs;
}

void Node::release(ObjectEntry* entry) {
  const bool ready = entry->ready();
  const bool large = ready && entry->holding == store::Holding::kStored &&
                     entry->where.size >= kLargeObject;
  // A function may have captured much, and an actor is a process.
  const bool special = ready && (entry->value_flags & (ipc::kFunction | ipc::kActor)) != 0;
  {
    MutexLock lock(release_mutex_);
    released_.push_back(entry);
    has_released_.store(true, std::memory_order_release);  // partner: drain_releases
    // The next call drains the list; without one, memory must go back all the same.
    if (!quiet_) {
      if (large || special || released_.size() == kReleasesPerNudge) supervisor_event_.ring();
      return;
    }
  }
  MutexLock lock(mutex_);
  drain_releases();
  close_chunks(arena_.give_back_all_empty());
}

WaitResult Node::wait(std::span<ObjectEntry* const> entries, uint32_t needed, Nanos until,
                      WaitMode&) {
  MutexLock lock(mutex_);
  drain_releases();
  Waiter waiter;
  waiter.needed = needed;
  std::vector<ObjectEntry*> watched;
  if (entries.size() == 1 && !has_leader()) {
    waiter.only = entries[0];  // this thread will lead, and look itself
  } else {
    for (ObjectEntry* entry : entries) {
      if (entry->ready()) {
        ++waiter.ready;
      } else {
        watched.push_back(entry);
      }
    }
    if (waiter.done()) return WaitResult::kReady;
    for (ObjectEntry* entry : watched) {
      entry->flags |= store::kWatched;
      Watcher watcher;
      watcher.kind = Watcher::Kind::kThread;
      watcher.waiter = &waiter;
      watchers_[entry->id.value].push_back(std::move(watcher));
    }
  }
  ++waiting_threads_;
  scheduler_.someone_waits(true);
  const WaitResult result = wait_turn(waiter, until, lock);
  scheduler_.someone_waits(--waiting_threads_ > 0);
  for (ObjectEntry* entry : watched) unwatch(entry, &waiter);
  return result;
}

void Node::unwatch(ObjectEntry* entry, const Waiter* waiter) {
  auto it = watchers_.find(entry->id.value);
  if (it == watchers_.end()) return;
  std::erase_if(it->second, [&](const Watcher& watcher) { return watcher.waiter == waiter; });
  if (!it->second.empty()) return;
  watchers_.erase(it);
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kWatched);
}

bool Node::spin(ObjectEntry* entry) {
  MutexLock lock(mutex_);
  drain_releases();
  Waiter waiter;
  waiter.only = entry;
  ++waiting_threads_;
  scheduler_.someone_waits(true);
  const bool ready = spin_turn(waiter, lock);
  scheduler_.someone_waits(--waiting_threads_ > 0);
  return ready;
}

Status Node::watch(ObjectEntry* entry, std::shared_ptr<CompletionQueue> queue, uint64_t token) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  if (entry->ready()) {
    queue->push(token);
    return Status();
  }
  entry->flags |= store::kWatched;
  Watcher watcher;
  watcher.kind = Watcher::Kind::kQueue;
  watcher.queue = std::move(queue);
  watcher.token = token;
  watchers_[entry->id.value].push_back(std::move(watcher));
  refresh_bell();
  return Status();
}

}  // namespace bolide::node

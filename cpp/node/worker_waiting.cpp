// worker_waiting: how a thread of a worker waits for objects, and tells the node that it does.
#include <algorithm>

#include "node/worker_client.h"
#include "node/worker_push.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

constexpr Nanos kTryBeforeLending = 20'000;
constexpr size_t kAwaitedAtMost = 64;

}  // namespace

void WorkerClient::ask(std::span<ObjectEntry* const> entries, bool value) {
  const uint8_t asked = value ? store::kAsked : store::kAskedReady;
  MutexLock lock(mutex_);
  flush_releases();
  std::vector<uint64_t> ids;
  for (ObjectEntry* entry : entries) {
    if (entry->ready() || (entry->flags & asked) != 0) continue;
    entry->flags |= asked;
    if (value) ++entry->refs;  // until the answer is read
    ids.push_back(entry->id.value);
  }
  if (ids.empty()) return;
  push_ids(value ? RecordType::kGet : RecordType::kWait, ids);
  publish(Urgency::kAlways);
}

WaitResult WorkerClient::wait(std::span<ObjectEntry* const> entries, uint32_t needed, Nanos until,
                              WaitMode& mode) {
  MutexLock lock(mutex_);
  flush_releases();
  Waiter waiter;
  waiter.needed = needed;
  std::vector<ObjectEntry*> pending;
  for (ObjectEntry* entry : entries) {
    const bool known = (entry->flags & store::kKnownReady) != 0 &&
                       (entry->flags & store::kAsked) == 0;
    if (entry->ready() || known) {
      ++waiter.ready;
    } else {
      pending.push_back(entry);
    }
  }
  if (waiter.is_ready()) return WaitResult::kReady;
  for (ObjectEntry* entry : pending) {
    entry->flags |= store::kWatched;
    watchers_[entry->id.value].push_back(&waiter);
  }
  WaitResult result = lend_cpu(waiter, pending, until, mode, lock);
  if (result == WaitResult::kTurnOver) {
    const bool takes_tasks = mode.can_inline && mode.declared && task_waiter_ == nullptr;
    if (takes_tasks) {
      task_waiter_ = &waiter;
      inline_only_ = true;
    }
    result = wait_turn(waiter, until, lock);
    if (takes_tasks) task_waiter_ = nullptr;
  }
  for (ObjectEntry* entry : pending) unwatch(entry, &waiter);
  return waiter.has_task ? WaitResult::kRunTask : result;
}

// lend_cpu lets others have the CPU of the task that waits here, unless the answer comes first: one
// that is on its way is not worth that. kTurnOver: the waiting goes on.
WaitResult WorkerClient::lend_cpu(Waiter& waiter, const std::vector<ObjectEntry*>& pending,
                                  Nanos until, WaitMode& mode, MutexLock& lock) {
  if (!mode.runs_task || mode.declared) return WaitResult::kTurnOver;
  const WaitResult result = wait_turn(waiter, std::min(until, now() + kTryBeforeLending), lock);
  if (result == WaitResult::kTurnOver && now() < until) declare_blocked(pending, mode);
  return result;
}

void WorkerClient::unwatch(ObjectEntry* entry, Waiter* waiter) {
  auto it = watchers_.find(entry->id.value);
  if (it == watchers_.end()) return;
  std::erase(it->second, waiter);
  if (!it->second.empty()) return;
  watchers_.erase(it);
  if (queues_.contains(entry->id.value)) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kWatched);
}

void WorkerClient::declare_blocked(const std::vector<ObjectEntry*>& pending, WaitMode& mode) {
  mode.declared = true;
  const size_t count = std::min(pending.size(), kAwaitedAtMost);
  const ipc::BlockedRecord record{mode.can_inline ? 1u : 0u, static_cast<uint32_t>(count)};
  push(RecordType::kBlocked, sizeof record + count * sizeof(uint64_t), [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(record);
    for (size_t i = 0; i < count; ++i) out.put(pending[i]->id.value);
  });
  publish(Urgency::kAlways);
}

void WorkerClient::end_wait(WaitMode& mode) {
  if (!mode.declared) return;
  mode.declared = false;
  MutexLock lock(mutex_);
  const ipc::BlockedRecord record{0, 0};
  push(RecordType::kUnblocked, sizeof record,
       [&](std::byte* to) { ipc::Writer(to).put(record); });
  publish(Urgency::kWhenSleeping);
}

}  // namespace bolide::node

// worker_actor: what a worker's client does only in an actor, and what it asks about actors.
#include <algorithm>
#include <cstring>

#include "node/worker_client.h"
#include "node/worker_push.h"

namespace bolide::node {

using ipc::RecordType;
using ipc::Urgency;

void WorkerClient::become_actor() {
  MutexLock lock(mutex_);
  is_actor_ = true;
}

void WorkerClient::stop_tasks() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (idle_waiter_ != nullptr) notify(*idle_waiter_);
}

// take_stashed gives the oldest that was put aside: the constructor, or a call.
void WorkerClient::take_stashed(TaskView* task) {
  unstashed_ = std::move(stash_.front());
  stash_.pop_front();
  task->held = true;
  read_task(unstashed_.data(), unstashed_.size(), task);
  tasks_.control()->claimed.store(
      task->header.sequence << 1 | static_cast<uint64_t>(ipc::Purpose::kRun),
      std::memory_order_seq_cst);  // nobody takes back what was popped: see WorkerLink::started
  begin_running(task);
}

bool WorkerClient::hand_back_cancelled(uint64_t sequence) {
  MutexLock lock(mutex_);
  if (!has_leader()) drain();  // the main thread is here, so what has come is put aside
  const auto call = std::find_if(stash_.begin(), stash_.end(), [&](const auto& record) {
    ipc::TaskHeader header;
    std::memcpy(&header, record.data(), sizeof header);
    return header.sequence == sequence;
  });
  if (call == stash_.end()) return false;
  stash_.erase(call);
  const ipc::SequenceRecord back{sequence};
  push(RecordType::kHandBack, sizeof back, [&](std::byte* to) { ipc::Writer(to).put(back); });
  publish(Urgency::kAlways);
  return true;
}

void WorkerClient::leave(ipc::ExitKind kind, std::string_view text) {
  MutexLock lock(mutex_);
  const ipc::ActorExit record{kind, static_cast<uint32_t>(text.size())};
  push_sized(RecordType::kActorExit, sizeof record + ipc::align8(text.size()), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(record);
               out.bytes(text.data(), text.size());
             });
  publish(Urgency::kAlways);
}

Status WorkerClient::kill_actor(ObjectId actor, bool no_restart) {
  MutexLock lock(mutex_);
  const ipc::KillRecord record{actor.value, no_restart ? 1u : 0u, 0};
  push(RecordType::kKillActor, sizeof record, [&](std::byte* to) { ipc::Writer(to).put(record); });
  publish(Urgency::kAlways);
  return Status();
}

Status WorkerClient::remove_group(ObjectId group) {
  MutexLock lock(mutex_);
  const ipc::GroupRecord record{group.value};
  push(RecordType::kRemoveGroup, sizeof record,
       [&](std::byte* to) { ipc::Writer(to).put(record); });
  publish(Urgency::kAlways);
  return Status();
}

Result<ObjectEntry*> WorkerClient::query(ipc::QueryKind kind, std::string_view text) {
  MutexLock lock(mutex_);
  flush_releases();  // what was just dropped may have had the name
  ObjectEntry* entry = table_.add(next_ids(1));
  entry->refs = 1;
  entry->flags |= store::kAsked;  // the answer comes without kGet
  ++entry->refs;                  // until it is read
  const ipc::QueryRecord record{entry->id.value, kind, static_cast<uint32_t>(text.size())};
  push_sized(RecordType::kQuery, sizeof record + ipc::align8(text.size()), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(record);
               out.bytes(text.data(), text.size());
             });
  publish(Urgency::kAlways);
  return entry;
}

}  // namespace bolide::node

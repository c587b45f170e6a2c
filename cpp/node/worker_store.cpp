// worker_store: a worker's side of the store: chunks of its own and of others, and where the values
// lie that it knows.
#include <algorithm>

#include "node/refusals.h"
#include "node/system_error.h"
#include "node/worker_push.h"
#include "os/fd_passing.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

}  // namespace

// ---- room

// reserve_locked finds room, asking the node for a chunk where there is none. The node answers when
// it has one, or when it has waited long enough.
Status WorkerClient::reserve_locked(uint64_t size, bool alone, bool control, Nanos deadline,
                                    MutexLock& lock, store::Slot* slot) {
  for (;;) {
    if (auto found = alone ? arena_.allocate_alone(size) : arena_.allocate(size)) {
      *slot = *found;
      return Status();
    }
    if (closed_) return Status(Code::kClosed, "the runtime was shut down");
    if (alone && !arena_.may_be_alone(size)) return too_many_alone();
    if (!chunk_asked_) {
      chunk_asked_ = true;
      chunk_refused_ = Status();
      const uint64_t wanted = alone ? store::page_round(size) : arena_.chunk_size_for(size);
      const ipc::ChunkRequest request{wanted, size, control ? 1u : 0u, 0};
      asked_size_ = size;
      push(RecordType::kChunkWanted, sizeof request,
           [&](std::byte* to) { ipc::Writer(to).put(request); });
      publish(Urgency::kAlways);
    }
    Waiter waiter;
    chunk_waiters_.push_back(&waiter);
    const WaitResult result = wait_turn(waiter, deadline, lock);
    chunk_waiters_.erase(std::find(chunk_waiters_.begin(), chunk_waiters_.end(), &waiter));
    if (control) continue;
    if (!chunk_refused_.is_ok() && refused_size_ == size) return chunk_refused_.clone();
    // The question stays open; what comes then is there for the next who asks.
    if (result == WaitResult::kTurnOver) return Status(Code::kTimeout, "there is no room yet");
  }
}

Result<store::Slot> WorkerClient::reserve(uint64_t size, bool alone, Nanos, Nanos deadline) {
  MutexLock lock(mutex_);
  flush_releases();
  store::Slot slot;
  Status status = reserve_locked(size, alone, false, deadline, lock, &slot);
  if (!status.is_ok()) return status;
  return slot;
}

void WorkerClient::abandon(const store::Slot& slot) {
  MutexLock lock(mutex_);
  free_span(slot.where);
}

Result<os::Mapping> WorkerClient::leave(const store::Slot& slot) {
  MutexLock lock(mutex_);
  return arena_.leave(slot.where);
}

// free_span takes back a place in a chunk of ours; a chunk that the node wants goes with its last.
void WorkerClient::free_span(const Location& where) {
  arena_.free(where);
  return_chunks(arena_.take_ended());
}

void WorkerClient::return_chunks(const std::vector<ChunkId>& chunks) {
  if (chunks.empty()) return;
  for (ChunkId chunk : chunks) {
    views_.drop(chunk);
    const ipc::ChunkNotice notice{0, chunk.value, 0};
    push(RecordType::kChunkReturned, sizeof notice,
         [&](std::byte* to) { ipc::Writer(to).put(notice); });
  }
  publish(Urgency::kWhenSleeping);  // somebody may be waiting for that memory
}

// receive_chunk gives the descriptor that was sent before the record of this chunk.
os::Fd WorkerClient::receive_chunk(uint32_t chunk) {
  while (received_.empty()) {
    uint32_t number = 0;
    std::vector<os::Fd> fds;
    auto got = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&number, 1)),
                                   fds, true);
    if (!got.is_ok() && got.status().code() == Code::kInterrupted) continue;
    if (!got.is_ok()) give_up("bolide: a descriptor of the store did not arrive\n");
    if (fds.size() == 1) received_.emplace_back(number, std::move(fds[0]));  // or it is a wake-up
  }
  auto [number, fd] = std::move(received_.front());
  received_.pop_front();
  if (number != chunk) give_up("bolide: a descriptor of the store did not arrive\n");
  return std::move(fd);
}

void WorkerClient::on_chunk(ipc::Reader& in) {
  const auto notice = in.take<ipc::ChunkNotice>();
  const uint32_t chunk = notice.chunk;
  if (chunk == 0) {  // a place in one that we have came free; who waits looks for it
    chunk_asked_ = false;
    chunk_refused_ = Status();
    for (Waiter* waiter : chunk_waiters_) notify(*waiter);
    return;
  }
  const os::Fd fd = receive_chunk(chunk);
  Status status;
  // What is mapped for reading before the chunk is sealed could be made writable by mprotect.
  if (notice.writable != 0) status = arena_.add_chunk(ChunkId{chunk}, fd, notice.size);
  if (status.is_ok()) {
    status = views_.add(ChunkId{chunk}, fd, notice.size);
    if (!status.is_ok() && notice.writable == 0) {
      give_up("bolide: a part of the store cannot be mapped\n");
    }
    if (!status.is_ok()) {
      arena_.retire(ChunkId{chunk});
      static_cast<void>(arena_.take_ended());
    }
  }
  if (notice.writable != 0) {
    chunk_asked_ = false;
    chunk_refused_ = status.clone();
    refused_size_ = asked_size_;
    if (!status.is_ok()) {  // it cannot be mapped here: it must not count as this worker's
      push(RecordType::kChunkReturned, sizeof notice,
           [&](std::byte* to) { ipc::Writer(to).put(notice); });
    }
  }
  if (notice.writable != 0) {
    for (Waiter* waiter : chunk_waiters_) notify(*waiter);
  }
}

// ---- where values lie

void WorkerClient::pin_argument(ObjectEntry* entry, const Location& where) {
  MutexLock lock(mutex_);
  if (!entry->ready()) {
    table_.set_stored(entry, where, 0);
    value_ready(entry);
  } else if (entry->presence.is_away()) {
    arrive(entry, where);
    value_ready(entry);
  }
  const bool pinned = entry->presence.pin();
  BOLIDE_CHECK(pinned, "a value left while the lock was held");
}

void WorkerClient::expect_argument(ObjectEntry* entry, uint64_t size) {
  MutexLock lock(mutex_);
  if (entry->ready()) return;
  set_away(entry, size);
  value_ready(entry);
}

// set_away makes an entry ready whose value is not in memory.
void WorkerClient::set_away(ObjectEntry* entry, uint64_t size) {
  const bool departed = entry->presence.depart();
  BOLIDE_CHECK(departed, "a value was read before it was known");
  table_.set_stored(entry, Location{ChunkId{0}, 0, 0, size}, 0);
}

// fetch asks the node again for a value whose place this process was told to forget.
Status WorkerClient::fetch(ObjectEntry* entry, Nanos until) {
  MutexLock lock(mutex_);
  flush_releases();
  fetching_.push_back(entry);
  Status fetched = fetch_locked(entry, until, lock);
  fetching_.erase(std::find(fetching_.begin(), fetching_.end(), entry));
  return fetched;
}

Status WorkerClient::fetch_locked(ObjectEntry* entry, Nanos until, MutexLock& lock) {
  while (!entry->presence.pin()) {
    if (closed_) return closed_status();
    if (auto why = unfetchable_.extract(entry->id.value)) return decode_system_error(why.mapped());
    if ((entry->flags & store::kAsked) == 0) {
      entry->flags |= store::kAsked;
      ++entry->refs;
      push_ids(RecordType::kGet, std::span(&entry->id.value, 1));
      publish(Urgency::kAlways);
    }
    Waiter waiter;
    entry->flags |= store::kWatched;
    watchers_[entry->id.value].push_back(&waiter);
    const WaitResult result = wait_turn(waiter, until, lock);
    unwatch(entry, &waiter);
    if (result == WaitResult::kTurnOver) return Status(Code::kTimeout, "the value is not here yet");
  }
  return Status();
}

bool WorkerClient::is_fetching(const ObjectEntry* entry) const {
  return std::find(fetching_.begin(), fetching_.end(), entry) != fetching_.end();
}

bool WorkerClient::is_awaited(const ObjectEntry* entry) const {
  return (entry->flags & store::kWatched) != 0 || is_fetching(entry);
}

void WorkerClient::forget_failure(const ObjectEntry* entry) {
  MutexLock lock(mutex_);
  unfetchable_.erase(entry->id.value);
}

void WorkerClient::arrive(ObjectEntry* entry, const Location& where) {
  entry->where.chunk = where.chunk;
  entry->where.offset = where.offset;
  entry->presence.arrive();
}

void WorkerClient::forget(ObjectEntry* entry) {
  if (!unfetchable_.empty()) unfetchable_.erase(entry->id.value);
  table_.erase(entry);
}

void WorkerClient::give_up_reference(ObjectEntry* entry) {
  const uint64_t id = entry->id.value;
  forget(entry);
  push_ids(RecordType::kRelease, std::span(&id, 1));
}

// on_recall forgets where values lie, so that the node may move them, but for those that are read
// or viewed here, or about to be, and those of which the node may have told the place after it sent
// this.
void WorkerClient::on_recall(ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  std::vector<uint64_t> forgotten;
  for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
    ObjectEntry* entry = table_.find(ObjectId{ids[i]});
    if (entry == nullptr || (entry->flags & store::kAsked) != 0) continue;
    if (is_fetching(entry)) continue;
    const bool known = entry->ready() && entry->holding == store::Holding::kStored;
    if (known && !entry->presence.is_away() && !entry->presence.depart()) continue;
    forgotten.push_back(ids[i]);
  }
  if (forgotten.empty()) return;
  push_ids(RecordType::kRecalled, forgotten);
  publish(Urgency::kWhenSleeping);  // somebody may be waiting for that memory
}

}  // namespace bolide::node

// node_store: the node's side of the store: chunks, the values in them, and what happens when bytes
// go. Who waits for room is the affair of node_room.cpp.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

using ipc::RecordType;

constexpr ClientId kDriver{1};
constexpr Nanos kRecallAgain = 20 * kMillisecond;

}  // namespace

// free_span takes back a place in a chunk of this process.
void Node::free_span(const Location& where) {
  arena_.free(where);
  if (arena_.has_ended()) close_chunks(arena_.take_ended());
}

// retire asks the writer of a chunk to use it no more and to give it back when it is empty.
void Node::retire(ChunkId chunk) {
  store::Registry& registry = objects_.registry();
  if (!registry.retire(chunk)) return;
  const ClientId owner = registry.info(chunk)->owner;
  if (owner == kDriver) {
    arena_.retire(chunk);
    close_chunks(arena_.take_ended());
  } else if (WorkerLink* link = link_of(owner)) {
    const ipc::ChunkNotice notice{0, chunk.value, 0};
    link->send(RecordType::kChunkRetired, sizeof notice,
               [&](std::byte* to) { ipc::Writer(to).put(notice); });
    mark_dirty(*link);
    link->needs_attention = true;  // it may be in a task that takes hours
  }
}

size_t Node::close_chunks(const std::vector<ChunkId>& chunks) {
  for (ChunkId chunk : chunks) {
    objects_.registry().close(chunk);
    chunk_closed(chunk);
  }
  return chunks.size();
}

void Node::abandon(const store::Slot& slot) {
  MutexLock lock(mutex_);
  free_span(slot.where);
}

Result<os::Mapping> Node::leave(const store::Slot& slot) {
  MutexLock lock(mutex_);
  return arena_.leave(slot.where);
}

const std::byte* Node::resolve(const Location& where) {
  if (const std::byte* found = views_.resolve(where)) return found;
  MutexLock lock(mutex_);
  return resolve_locked(where);
}

const std::byte* Node::resolve_locked(const Location& where) {
  if (const std::byte* found = views_.resolve(where)) return found;
  const os::Fd* fd = objects_.registry().fd(where.chunk);
  if (fd == nullptr) return nullptr;
  if (!views_.add(where.chunk, *fd, objects_.registry().size(where.chunk)).is_ok()) return nullptr;
  return views_.resolve(where);
}

// ---- what the mover asks for

Status Node::reserve_for_move(uint64_t size, store::Slot* slot) {
  return try_reserve(size, false, true, slot);
}

// may_move_function: a worker copies a function when it reads the record that tells the place.
bool Node::may_move_function(ObjectId function) {
  for (const auto& [id, link] : links_) {
    if (link->functions.contains(function.value) && !link->has_read_all()) return false;
  }
  return true;
}

Result<store::SpillPlace> Node::place_on_disk(uint64_t size) {
  return spill_files_.place(size);
}

void Node::failed_to_spill(const Status& why) {
  spiller_.write_failed(why, now());
}

void Node::recall(std::span<ObjectEntry* const> entries) {
  std::vector<uint64_t> ids;
  for (const auto& [id, link] : links_) {
    if (link->has_overflow()) continue;  // it does not read what it has been sent
    const bool same_look = link->recalled_at == coarse_now_;
    if (!same_look && coarse_now_ < link->recalled_at + kRecallAgain) continue;
    ids.clear();
    for (const ObjectEntry* entry : entries) {
      const uint32_t* held = link->held.find(entry->id.value);
      if (held != nullptr && (*held & kTold) != 0) ids.push_back(entry->id.value);
    }
    if (ids.empty()) continue;
    link->recalled_at = coarse_now_;
    link->send_ids(RecordType::kRecall, ids);
    link->needs_attention = true;
    mark_dirty(*link);
  }
}

// moved is called by a thread of the pool: nobody else may be awake.
void Node::moved(bool any) {
  if (closed_) return;
  coarse_now_ = now();
  if (any) spiller_.progressed(coarse_now_);
  flush_links();
  rouse_leader();
}

Status Node::on_chunk_returned(WorkerLink& link, ipc::Reader& in) {
  const auto notice = in.take<ipc::ChunkNotice>();
  if (!in.ok() || !objects_.registry().give_back(ChunkId{notice.chunk}, link.client)) {
    return malformed("it returned memory that is not its own, or in use");
  }
  chunk_closed(ChunkId{notice.chunk});
  return Status();
}

// ---- what the reference table asks for

void Node::place_freed(ObjectId object, store::SpillPlace place) {
  spiller_.forget_failure(object);
  auto held = std::make_shared<store::SpillPlace>(std::move(place));
  static_cast<void>(io_.submit([held](bool) {}));  // or it is dropped here, which takes longer
}

void Node::span_freed(ClientId owner, const Location& where) {
  for (Waiter* waiter : space_waiters_) notify(*waiter);
  if (owner == kDriver) {
    free_span(where);
  } else if (WorkerLink* link = link_of(owner)) {
    link->send(RecordType::kFreeSpan, sizeof where,
               [&](std::byte* to) { ipc::Writer(to).put(where); });
    mark_dirty(*link);
    if (!room_requests_.empty()) room_came_free(*link, where);
  }
}

void Node::store_changed() {
  if (closed_) return;
  for (ChunkId chunk : objects_.registry().excess()) retire(chunk);
  // The supervisor may not know yet that there is something to do.
  for (const auto& look : {mover_.next_look(), objects_.registry().next_surplus()}) {
    if (look.has_value() && supervisor_until_ > *look) nudge_supervisor();
  }
}

void Node::chunk_closed(ChunkId chunk) {
  views_.drop(chunk);
  spiller_.progressed(coarse_now_);
  for (Waiter* waiter : space_waiters_) notify(*waiter);
  for (const auto& [id, link] : links_) {
    if (link->chunks.erase(chunk.value) == 0) continue;
    const ipc::ChunkNotice notice{0, chunk.value, 0};
    link->send(RecordType::kChunkClosed, sizeof notice,
               [&](std::byte* to) { ipc::Writer(to).put(notice); });
    mark_dirty(*link);
  }
}

}  // namespace bolide::node

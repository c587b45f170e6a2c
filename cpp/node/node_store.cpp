// node_store: the node's side of the store: room for what this process writes, chunks for the
// workers, chunks that are asked back, and what happens when bytes go.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using ipc::RecordType;

constexpr ClientId kDriver{1};

}  // namespace

// ---- room for this process

Status Node::try_reserve(uint64_t size, bool alone, bool control, store::Slot* slot) {
  for (;;) {
    if (auto found = alone ? arena_.allocate_alone(size) : arena_.allocate(size)) {
      *slot = *found;
      return Status();
    }
    if (alone && !arena_.may_be_alone(size)) return too_many_alone();
    const uint64_t wanted = alone ? store::page_round(size) : arena_.chunk_size_for(size);
    auto grant = objects_.registry().grant(kDriver, wanted, size, control);
    if (!grant.is_ok()) return grant.status().clone();
    const os::Fd& fd = *objects_.registry().fd(grant->id);
    const Status added = arena_.add_chunk(grant->id, fd, grant->size);
    if (!added.is_ok()) {
      objects_.registry().close(grant->id);
      return added.clone();
    }
    nudge_supervisor();  // it trims the arena when it has been quiet
  }
}

Result<store::Slot> Node::reserve(uint64_t size, bool alone, Nanos deadline) {
  MutexLock lock(mutex_);
  for (;;) {
    if (closed_) return closed_status();
    drain_releases();
    store::Slot slot;
    Status tried = try_reserve(size, alone, false, &slot);
    if (tried.is_ok()) return slot;
    if (tried.code() != Code::kFull) return tried;
    if (close_chunks(arena_.give_back_all_empty()) > 0) continue;
    if (now() >= deadline) return tried;
    // Wait for somebody to give bytes back.
    Waiter waiter;
    space_waiters_.push_back(&waiter);
    ++space_wanted_;
    refresh_bell();
    wait_turn(waiter, deadline, lock);
    --space_wanted_;
    space_waiters_.erase(std::find(space_waiters_.begin(), space_waiters_.end(), &waiter));
  }
}

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

Status Node::fetch(ObjectEntry* entry, Nanos) {
  MutexLock lock(mutex_);
  // A value that is moved is away only while the lock is held.
  const bool pinned = entry->presence.pin();
  BOLIDE_CHECK(pinned, "a value is away while nobody moves it");
  return Status();
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

void Node::recall(std::span<ObjectEntry* const> entries) {
  std::vector<uint64_t> ids;
  for (const auto& [id, link] : links_) {
    ids.clear();
    for (const ObjectEntry* entry : entries) {
      const uint32_t* held = link->held.find(entry->id.value);
      if (held != nullptr && (*held & kTold) != 0) ids.push_back(entry->id.value);
    }
    if (ids.empty()) continue;
    link->send_ids(RecordType::kRecall, ids);
    link->needs_attention = true;
    mark_dirty(*link);
  }
}

// moved is called by a thread of the pool: nobody else may be awake.
void Node::moved() {
  if (closed_) return;
  flush_links();
  rouse_leader();
}

// ---- room for workers

Status Node::on_chunk_wanted(WorkerLink& link, ipc::Reader& in) {
  const auto request = in.take<ipc::ChunkRequest>();
  if (!in.ok()) return malformed("a request for memory");
  auto grant = objects_.registry().grant(link.client, request.chunk_size, request.wanted,
                                         request.control != 0);
  if (!grant.is_ok() && grant.status().code() == Code::kFull &&
      close_chunks(arena_.give_back_all_empty()) > 0) {
    grant = objects_.registry().grant(link.client, request.chunk_size, request.wanted,
                                      request.control != 0);
  }
  mark_dirty(link);
  if (!grant.is_ok()) {
    const std::string& text = grant.status().message();
    const ipc::ChunkRefusal refusal{request.wanted, static_cast<uint32_t>(text.size()), 0};
    link.send(RecordType::kChunkRefused, sizeof refusal + ipc::align8(text.size()),
              [&](std::byte* to) {
                ipc::Writer out(to);
                out.put(refusal);
                out.bytes(text.data(), text.size());
              });
    return Status();
  }
  link.chunks.insert(grant->id.value);
  link.send_descriptor(grant->id.value, *objects_.registry().fd(grant->id));
  const ipc::ChunkNotice notice{grant->size, grant->id.value, 1};
  link.send(RecordType::kChunk, sizeof notice, [&](std::byte* to) { ipc::Writer(to).put(notice); });
  return Status();
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

void Node::span_freed(ClientId owner, const Location& where) {
  for (Waiter* waiter : space_waiters_) notify(*waiter);
  if (owner == kDriver) {
    free_span(where);
  } else if (WorkerLink* link = link_of(owner)) {
    link->send(RecordType::kFreeSpan, sizeof where,
               [&](std::byte* to) { ipc::Writer(to).put(where); });
    mark_dirty(*link);
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

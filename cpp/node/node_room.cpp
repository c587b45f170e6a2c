// node_room: room in the store, and who waits for it: threads of this process, workers that ask for
// chunks, and values that are to come back from the disk. They wait while memory is on its way back,
// and kRoomTimeout longer; an object that is larger than the store is refused at once.
#include <algorithm>
#include <array>

#include "node/node.h"
#include "node/refusals.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using ipc::RecordType;

constexpr Nanos kLook = 20 * kMillisecond;  // for somebody who has ceased to view or to read
constexpr size_t kNamed = 3;                // of the largest objects, in an error

}  // namespace

// ---- this process

Status Node::try_reserve(uint64_t size, bool alone, bool control, store::Slot* slot) {
  for (;;) {
    if (auto found = alone ? arena_.allocate_alone(size) : arena_.allocate(size)) {
      *slot = *found;
      return Status();
    }
    if (alone && !arena_.may_be_alone(size)) return too_many_alone();
    const uint64_t wanted = alone ? store::page_round(size) : arena_.chunk_size_for(size);
    auto grant = objects_.registry().grant(kNode, wanted, size, control);
    if (!grant.is_ok()) return grant.status().clone();
    const os::Fd& fd = *objects_.registry().fd(grant->id);
    const Status added = arena_.add_chunk(grant->id, fd, grant->size);
    if (!added.is_ok()) {
      objects_.registry().close(grant->id);
      return added.clone();
    }
    nudge_supervisor();  // it looks after chunks that stay empty
  }
}

Result<store::Slot> Node::reserve(uint64_t size, bool alone, Nanos since, Nanos deadline) {
  MutexLock lock(mutex_);
  for (;;) {
    if (closed_) return closed_status();
    drain_releases();
    store::Slot slot;
    Status tried = try_reserve(size, alone, false, &slot);
    if (tried.is_ok()) return slot;
    if (tried.code() != Code::kFull || !objects_.registry().may_fit(size)) return tried;
    if (close_chunks(arena_.give_back_all_empty()) > 0) continue;
    const Nanos time = now();
    const bool coming = spiller_.make_room(objects_.registry().missing(size), time);
    if (!coming && spiller_.has_given_up(since, time)) return no_room(size, since);
    if (time >= deadline) return Status(Code::kTimeout, "there is no room yet");
    flush_links();
    Waiter waiter;
    space_waiters_.push_back(&waiter);
    ++space_wanted_;
    refresh_bell();
    wait_turn(waiter, std::min(deadline, time + kLook), lock);
    --space_wanted_;
    space_waiters_.erase(std::find(space_waiters_.begin(), space_waiters_.end(), &waiter));
  }
}

// ---- workers

Status Node::on_chunk_wanted(WorkerLink& link, ipc::Reader& in) {
  const auto request = in.take<ipc::ChunkRequest>();
  if (!in.ok()) return malformed("a request for memory");
  const RoomRequest asked{link.worker.id.value, request, now(), false};
  if (request.control != 0) {
    room_requests_.push_front(asked);
  } else {
    room_requests_.push_back(asked);
  }
  serve_room();
  return Status();
}

// serve_room gives room to who waits for it, in the order in which they asked.
void Node::serve_room() {
  const Nanos time = now();
  spiller_.step(time);
  for (auto request = room_requests_.begin(); request != room_requests_.end();) {
    WorkerLink* link = link_of(request->worker);
    if (link == nullptr || request->answered || grant_room(*link, *request, time)) {
      request = room_requests_.erase(request);
    } else if (request->wants.control != 0) {
      ++request;  // the budget is not what it waits for
    } else {
      break;
    }
  }
  room_due_ = INT64_MAX;
  if (room_requests_.empty() && !spiller_.waits_for_room()) return;
  uint64_t wanted = 0;
  for (const RoomRequest& request : room_requests_) wanted += request.wants.wanted;
  if (wanted > 0) spiller_.make_room(std::max(objects_.registry().missing(wanted), wanted), time);
  room_due_ = time + kLook;
  if (supervisor_until_ > room_due_) nudge_supervisor();
}

// grant_room answers a request; false: it waits on.
bool Node::grant_room(WorkerLink& link, const RoomRequest& request, Nanos time) {
  const auto try_grant = [&] {
    return objects_.registry().grant(link.client, request.wants.chunk_size, request.wants.wanted,
                                     request.wants.control != 0);
  };
  const uint64_t wanted = request.wants.wanted;
  auto grant = try_grant();
  const auto is_full = [&grant] { return !grant.is_ok() && grant.status().code() == Code::kFull; };
  bool coming = false;
  if (is_full() && objects_.registry().may_fit(wanted)) {
    coming = spiller_.make_room(objects_.registry().missing(wanted), time);
    if (coming) grant = try_grant();  // an empty chunk of this process has gone at once
  }
  mark_dirty(link);
  if (grant.is_ok()) {
    link.chunks.insert(grant->id.value);
    link.send_descriptor(grant->id.value, *objects_.registry().fd(grant->id));
    const ipc::ChunkNotice notice{grant->size, grant->id.value, 1};
    link.send(RecordType::kChunk, sizeof notice,
              [&](std::byte* to) { ipc::Writer(to).put(notice); });
    return true;
  }
  // A worker cannot go on without a control record, and the budget is not what stops that.
  if (request.wants.control != 0) return false;
  if (!is_full() || !objects_.registry().may_fit(wanted)) {
    refuse_room(link, request, grant.status());
    return true;
  }
  if (coming || !spiller_.has_given_up(request.since, time)) return false;
  refuse_room(link, request, no_room(wanted, request.since));
  return true;
}

// room_came_free: the worker that waits for such a place has one again, in a chunk of its own.
void Node::room_came_free(WorkerLink& link, const Location& where) {
  const auto waits = std::find_if(
      room_requests_.begin(), room_requests_.end(), [&](const RoomRequest& request) {
        const uint64_t wanted = request.wants.wanted;
        return request.worker == link.worker.id.value && request.wants.control == 0 &&
               !request.answered && where.size >= wanted && where.size - wanted <= wanted / 4;
      });
  if (waits == room_requests_.end()) return;
  const auto chunk = objects_.registry().info(where.chunk);
  if (!chunk.has_value() || chunk->retired) return;
  waits->answered = true;  // serve_room takes it out of the queue
  const ipc::ChunkNotice use_it{0, 0, 1};
  link.send(RecordType::kChunk, sizeof use_it,
            [&](std::byte* to) { ipc::Writer(to).put(use_it); });
}

void Node::refuse_room(WorkerLink& link, const RoomRequest& request, const Status& why) {
  const std::string& text = why.message();
  const ipc::ChunkRefusal refusal{request.wants.wanted, static_cast<uint32_t>(text.size()),
                                  why.code() == Code::kDiskFull ? 1u : 0u};
  link.send(RecordType::kChunkRefused, sizeof refusal + ipc::align8(text.size()),
            [&](std::byte* to) {
              ipc::Writer out(to);
              out.put(refusal);
              out.bytes(text.data(), text.size());
            });
}

// ---- values that are away

Status Node::fetch(ObjectEntry* entry, Nanos until) {
  MutexLock lock(mutex_);
  ++entry->readers;  // so that it does not leave again before this thread has got it
  Status fetched = fetch_locked(entry, until, lock);
  --entry->readers;
  return fetched;
}

Status Node::fetch_locked(ObjectEntry* entry, Nanos until, MutexLock& lock) {
  for (bool asked = false; !entry->presence.pin(); asked = true) {
    if (closed_) return closed_status();
    if (const std::string* why = asked ? spiller_.failure(entry->id) : nullptr) {
      return decode_system_error(*why);
    }
    Waiter waiter;
    Watcher watcher;
    watcher.kind = Watcher::Kind::kThread;
    watcher.waiter = &waiter;
    entry->flags |= store::kWatched;
    watchers_[entry->id.value].push_back(std::move(watcher));
    spiller_.bring_back(entry, now());
    flush_links();
    refresh_bell();
    ++waiting_threads_;
    scheduler_.someone_waits(true);
    const WaitResult result = wait_turn(waiter, until, lock);
    scheduler_.someone_waits(--waiting_threads_ > 0);
    unwatch(entry, &waiter);
    if (result == WaitResult::kTurnOver) return Status(Code::kTimeout, "the value is not here yet");
  }
  return Status();
}

Status Node::room_for_return(uint64_t size, store::Slot* slot) {
  return try_reserve(size, false, false, slot);
}

void Node::value_returned(ObjectEntry* entry) {
  if (entry->flags != 0) value_ready(entry);
}

// ---- why there is no room

Status Node::no_room(uint64_t size) {
  return no_room(size, now() - kRoomTimeout);
}

Status Node::no_room(uint64_t size, Nanos since) {
  Status refused = objects_.registry().refuse(size);
  const std::string text = refused.message() + ". " + largest_objects();
  const Status* disk = spiller_.write_error(since);
  if (disk == nullptr) return Status(Code::kFull, text);
  return Status(Code::kDiskFull,
                text + ". Spilling to " + spill_files_.directory() + " failed: " + disk->message() +
                    ". Free disk space there, or choose another folder with "
                    "object_spilling_directory");
}

// largest_objects says which take the most memory, and who keeps them there.
std::string Node::largest_objects() {
  std::vector<const ObjectEntry*> largest;
  objects_.table().for_each([&](ObjectEntry* entry) {
    if (entry->holding != store::Holding::kStored || entry->presence.is_away()) return;
    largest.push_back(entry);
    std::push_heap(largest.begin(), largest.end(), [](const auto* a, const auto* b) {
      return a->where.size > b->where.size;
    });
    if (largest.size() <= kNamed) return;
    std::pop_heap(largest.begin(), largest.end(), [](const auto* a, const auto* b) {
      return a->where.size > b->where.size;
    });
    largest.pop_back();
  });
  if (largest.empty()) return "Nothing is stored; memory is reserved for what is being written";
  std::sort(largest.begin(), largest.end(),
            [](const auto* a, const auto* b) { return a->where.size > b->where.size; });
  std::string text = "The largest objects in it:";
  for (const ObjectEntry* entry : largest) {
    text += (entry == largest.front() ? " " : "; ") + store::amount(entry->where.size) + ", " +
            holders_of(entry);
  }
  if (objects_.table().knows_sites()) return text;
  return text +
         ". Start with BOLIDE_RECORD_REF_CREATION_SITES=on in the environment to be told where "
         "they were made";
}

// holders_of says who has the object, who of them reads it in place, so that it cannot go, and where
// it was made.
std::string Node::holders_of(const ObjectEntry* entry) {
  std::vector<std::string> holders;
  if (entry->handle != nullptr || entry->presence.is_pinned()) {
    holders.push_back(entry->presence.is_pinned() ? "the driver, which views it" : "the driver");
  }
  for (const auto& [id, link] : links_) {
    const uint32_t* held = link->held.find(entry->id.value);
    if (held == nullptr) continue;
    const char* views = (*held & kTold) != 0 ? ", which may view it" : "";
    holders.push_back("worker " + std::to_string(link->pid) + views);
  }
  if (holders.empty()) holders.push_back("tasks or by other objects");
  std::string text = "held by ";
  for (const std::string& holder : holders) {
    if (&holder != &holders.front()) text += " and ";
    text += holder;
  }
  const std::string* site = objects_.table().site(entry);
  return site == nullptr ? text : text + ", made by " + *site;
}

// ---- where objects were made

void Node::note_site(ObjectEntry* first, uint32_t returns, std::string_view text) {
  MutexLock lock(mutex_);
  set_sites(first->id, returns, text);
}

Status Node::on_site(WorkerLink& link, ipc::Reader& in) {
  const auto record = in.take<ipc::SiteRecord>();
  const std::byte* text = in.bytes(record.bytes);
  if (!in.ok() || record.returns > ipc::kMostReturns ||
      client_of(ObjectId{record.object}) != link.client) {
    return malformed("where an object was made");
  }
  set_sites(ObjectId{record.object}, record.returns,
            {reinterpret_cast<const char*>(text), record.bytes});
  return Status();
}

// set_sites: one of the returns whose reference is gone already has no entry any more.
void Node::set_sites(ObjectId first, uint32_t returns, std::string_view text) {
  for (uint32_t i = 0; i < returns; ++i) {
    if (ObjectEntry* entry = objects_.find(return_of(first, i))) objects_.table().set_site(entry, text);
  }
}

}  // namespace bolide::node

#include "store/arena.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/fault.h"
#include "store/sizes.h"

namespace bolide::store {

namespace {

// Whether a chunk of its own is worth using again for an object: not so large that more than a
// fifth of it, charged to the budget, would be wasted.
bool is_good_fit(uint64_t size, uint64_t chunk_size) {
  return size <= chunk_size && chunk_size <= page_round(size + size / 4);
}

}  // namespace

std::optional<Slot> Arena::allocate(uint64_t size) {
  if (size > kLargestObject) return std::nullopt;
  if (size >= kOwnChunkFrom) {
    if (Chunk* chunk = take_own(size)) return place(chunk, size);
    if (!is_crowded_for(size)) return std::nullopt;
  }
  if (Chunk* chunk = find_shared(size)) return place(chunk, size);
  return std::nullopt;
}

std::optional<Slot> Arena::allocate_alone(uint64_t size) {
  if (size > kLargestObject) return std::nullopt;
  Chunk* chunk = take_own(size);
  if (chunk == nullptr) return std::nullopt;
  // Without room to move, leave() takes longer, or fails and is not the only way.
  static_cast<void>(chunk->mapping.settle());
  return place(chunk, size);
}

Result<os::Mapping> Arena::leave(const Location& where) {
  const auto found = chunks_.find(where.chunk);
  const Chunk* chunk = found == chunks_.end() ? nullptr : found->second.get();
  // Nothing else will come into a chunk of one object, or into a retired one.
  const bool alone = chunk != nullptr && chunk->spans.used() == span_size(where.size) &&
                     (chunk->use == Use::kOwn || chunk->use == Use::kRetired);
  if (!alone) {
    return Status(Code::kInvalid, "chunk " + std::to_string(where.chunk.value) +
                                      " is not one that holds a single object of this client");
  }
  return found->second->mapping.leave();
}

uint64_t Arena::chunk_size_for(uint64_t size) const {
  if (size > kLargestObject) return kLargestObject;  // the node says that this is too much
  if (size >= kOwnChunkFrom && !is_crowded_for(size)) return page_round(size);
  uint64_t chunk_size = kFirstSharedChunk;
  for (const Chunk* chunk : shared_) chunk_size = std::max(chunk_size, 2 * chunk->mapping.size());
  chunk_size = std::min(chunk_size, kLargestSharedChunk);
  while (chunk_size < span_size(size)) chunk_size *= 2;
  return chunk_size;
}

Status Arena::add_chunk(ChunkId id, const os::Fd& memfd, uint64_t size) {
  if (chunks_.contains(id)) {
    return Status(Code::kInvalid, "chunk " + std::to_string(id.value) + " was added twice");
  }
  auto mapping = os::Mapping::map(memfd, size, os::Access::kReadWrite);
  if (!mapping.is_ok()) return mapping.status();
  BOLIDE_FAULT_AT("store.chunk.mapped");
  if (Status sealed = os::seal_future_write(memfd); !sealed.is_ok()) return sealed;
  BOLIDE_FAULT_AT("store.chunk.sealed");

  auto chunk = std::make_unique<Chunk>(id, mapping.take());
  chunk->empty_since = ++changes_;
  unsettled_.push_back(chunk.get());
  chunks_.emplace(id, std::move(chunk));
  return Status();
}

bool Arena::free(const Location& where) {
  const auto found = chunks_.find(where.chunk);
  if (found == chunks_.end()) return false;
  Chunk* chunk = found->second.get();
  if (!chunk->spans.free(where.offset, where.size)) return false;
  ++changes_;
  if (chunk->spans.empty()) {
    chunk->empty_since = changes_;
    if (chunk->use == Use::kOwn) spare_.push_back(chunk);
    if (chunk->use == Use::kRetired) ended_.push_back(forget(chunk));
  }
  BOLIDE_AUDIT(is_valid(), "the arena broke an invariant in free");
  return true;
}

std::byte* Arena::writable(const Location& where) {
  const auto found = chunks_.find(where.chunk);
  if (found == chunks_.end()) return nullptr;
  const os::Mapping& mapping = found->second->mapping;
  return in_range(where, mapping.size()) ? mapping.data() + where.offset : nullptr;
}

void Arena::retire(ChunkId id) {
  const auto found = chunks_.find(id);
  if (found == chunks_.end()) return;
  Chunk* chunk = found->second.get();
  if (chunk->spans.empty()) {
    ended_.push_back(forget(chunk));
  } else {
    unlist(chunk);
    chunk->use = Use::kRetired;
  }
  BOLIDE_AUDIT(is_valid(), "the arena broke an invariant in retire");
}

std::vector<ChunkId> Arena::give_back_all_empty() {
  std::vector<ChunkId> given_back;
  for (Chunk* chunk : empty_chunks()) given_back.push_back(forget(chunk));
  return given_back;
}

ArenaStats Arena::stats() const {
  ArenaStats stats{chunks_.size(), own_chunks_, 0, 0, warm_bytes()};
  for (const auto& [id, chunk] : chunks_) {
    stats.mapped += chunk->mapping.size();
    stats.used += chunk->spans.used();
  }
  return stats;
}

bool Arena::is_valid() const {
  size_t unsettled = 0, shared = 0, own = 0, spare = 0;
  for (const auto& [id, chunk] : chunks_) {
    if (chunk->id != id || !chunk->spans.is_valid()) return false;
    if (chunk->use == Use::kUnsettled) {
      ++unsettled;
      if (chunk->spans.high_water() != 0) return false;
    } else if (chunk->use == Use::kShared) {
      ++shared;
    } else if (chunk->use == Use::kRetired) {
      if (chunk->spans.empty()) return false;
    } else {
      ++own;
      if (chunk->spans.empty()) ++spare;
    }
  }
  const auto is_spare = [](const Chunk* chunk) {
    return chunk->use == Use::kOwn && chunk->spans.empty();
  };
  return unsettled == unsettled_.size() && shared == shared_.size() && own == own_chunks_ &&
         spare == spare_.size() && std::all_of(spare_.begin(), spare_.end(), is_spare) &&
         std::is_sorted(spare_.begin(), spare_.end(), is_empty_longer) &&
         (current_ == nullptr || std::count(shared_.begin(), shared_.end(), current_) == 1);
}

bool Arena::is_empty_longer(const Chunk* a, const Chunk* b) {
  return a->empty_since < b->empty_since;
}

bool Arena::is_crowded_for(uint64_t size) const {
  return own_chunks_ >= kManyOwnChunks && size <= kLargestShared;
}

// take_own removes a chunk for one object from the spare or, unless it came to be shared, the
// new ones.
Arena::Chunk* Arena::take_own(uint64_t size) {
  for (std::vector<Chunk*>* candidates : {&spare_, &unsettled_}) {
    if (candidates == &unsettled_ && is_crowded_for(size)) break;
    for (size_t i = candidates->size(); i-- > 0;) {
      Chunk* chunk = (*candidates)[i];
      if (!is_good_fit(size, chunk->mapping.size())) continue;
      candidates->erase(candidates->begin() + static_cast<std::ptrdiff_t>(i));
      if (chunk->use == Use::kUnsettled) ++own_chunks_;
      chunk->use = Use::kOwn;
      return chunk;
    }
  }
  return nullptr;
}

// find_shared prefers the chunk of the last slot, then the oldest, so that the young ones run
// empty. A linear walk: there are few shared chunks, and it happens only when one is used up.
Arena::Chunk* Arena::find_shared(uint64_t size) {
  const uint64_t span = span_size(size);
  const auto has_room = [span](const Chunk* chunk) { return chunk->spans.largest_free() >= span; };
  if (current_ != nullptr && has_room(current_)) return current_;
  if (auto old = std::find_if(shared_.begin(), shared_.end(), has_room); old != shared_.end()) {
    return current_ = *old;
  }
  const auto is_usable = [&](const Chunk* chunk) {
    return chunk->mapping.size() <= kLargestSharedChunk && has_room(chunk);
  };
  const auto young = std::find_if(unsettled_.begin(), unsettled_.end(), is_usable);
  if (young == unsettled_.end()) return nullptr;
  current_ = *young;
  unsettled_.erase(young);
  current_->use = Use::kShared;
  shared_.push_back(current_);
  return current_;
}

Slot Arena::place(Chunk* chunk, uint64_t size) {
  const uint64_t written = chunk->spans.high_water();
  const auto offset = chunk->spans.allocate(size);
  BOLIDE_CHECK(offset.has_value(), "a chunk with room for an object refused it");
  ++changes_;
  BOLIDE_AUDIT(is_valid(), "the arena broke an invariant in allocate");
  return Slot{Location{chunk->id, 0, *offset, size}, chunk->mapping.data() + *offset,
              *offset >= written};
}

std::vector<Arena::Chunk*> Arena::empty_chunks() const {
  std::vector<Chunk*> empty;
  for (const auto& [id, chunk] : chunks_) {
    if (chunk->spans.empty()) empty.push_back(chunk.get());
  }
  std::sort(empty.begin(), empty.end(), is_empty_longer);
  return empty;
}

uint64_t Arena::warm_bytes() const {
  uint64_t warm = 0;
  for (const Chunk* chunk : spare_) warm += chunk->spans.high_water();
  for (const Chunk* chunk : shared_) {
    if (chunk->spans.empty()) warm += chunk->spans.high_water();
  }
  return warm;
}

// unlist takes the chunk out of all lists from which slots are given.
void Arena::unlist(Chunk* chunk) {
  if (chunk == current_) current_ = nullptr;
  if (chunk->use == Use::kOwn) --own_chunks_;
  std::erase(unsettled_, chunk);
  std::erase(shared_, chunk);
  std::erase(spare_, chunk);
}

// forget unmaps an empty chunk and drops every mention of it.
ChunkId Arena::forget(Chunk* chunk) {
  BOLIDE_DCHECK(chunk->spans.empty(), "a chunk with objects in it was given back");
  const ChunkId id = chunk->id;
  unlist(chunk);
  chunks_.erase(id);
  return id;
}

}  // namespace bolide::store

// arena: the writing side of the store in one client: its chunks, mapped read-write here and
// nowhere else, and the places in them. Not the byte budget (that is the node's registry) and not
// the way readers see objects (views.h): also the producer reads through a second, read-only
// mapping.
//
// A writer that gets no slot asks the node for chunk_size_for(size) bytes, hands the memfd to
// add_chunk() and tries again. Small objects share chunks that double from 256 KiB to 64 MiB, so
// a small client stays small and a large one has few descriptors. An object of 1 MiB or more gets
// a chunk of its own, because memory goes back to the system only by whole chunks; with 128 of
// those, objects up to 16 MiB share too. A new chunk's use is settled by the first object in it.
//
// Empty chunks are kept: writing touched pages costs a fifth to a tenth of touching new ones. A
// chunk that once held one object takes another of size s when s <= chunk <= 1.25 s, the most
// recently emptied chunk first. How long they are kept is the node's decision, who sees the
// chunks of all clients (Registry::surplus): it retires one, and a retired chunk takes no more
// objects and ends as soon as it is empty.
//
// Thread safety: none; the client's lock guards it. The bytes of an allocated slot may be written
// without the lock: its chunk stays mapped until the slot is freed.
// Invariants: 1. Only empty chunks are given back, and a chunk given back is forgotten: its id
// never comes again. 2. spare_ holds the empty chunks of use kOwn in the order in which they
// became empty. 3. A chunk is sealed before its first slot is handed out. 4. A retired chunk has
// objects, and is in none of the lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/api.h"
#include "base/ids.h"
#include "base/location.h"
#include "base/status.h"
#include "os/fd.h"
#include "os/memory.h"
#include "store/span_allocator.h"

namespace bolide::store {

inline constexpr uint64_t kLargestShared = uint64_t{16} << 20;  // of an object, when crowded
inline constexpr size_t kManyOwnChunks = 128;                   // descriptors are scarce

struct Slot {
  Location where;
  std::byte* data;
  bool untouched;  // nothing was ever written there: all bytes are zero
};

struct ArenaStats {
  uint64_t chunks;
  uint64_t own_chunks;  // of `chunks`, those that hold one object at a time
  uint64_t mapped;      // bytes of address space
  uint64_t used;        // bytes of allocated slots
  uint64_t warm;        // touched bytes of chunks that are empty
};

class BOLIDE_API Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // allocate finds room for an object of `size` bytes, 64-byte aligned. nullopt: a chunk of
  // chunk_size_for(size) bytes is needed.
  std::optional<Slot> allocate(uint64_t size);
  uint64_t chunk_size_for(uint64_t size) const;

  // allocate_alone finds room in a chunk that holds nothing else, whatever the size, so that
  // leave() can end the writing. nullopt: a chunk of page_round(size) bytes is needed, and one
  // more is not too many (may_be_alone).
  std::optional<Slot> allocate_alone(uint64_t size);
  bool may_be_alone(uint64_t size) const { return !is_crowded_for(size); }

  // leave ends the writing of a slot that is alone, in microseconds: what lies at its address is
  // returned, to be read only. Afterwards, when it has been freed, the chunk is as good as any.
  Result<os::Mapping> leave(const Location& where);

  // add_chunk maps a chunk that the node granted to this client, then seals it. The descriptor
  // may be closed afterwards. On failure nothing stays mapped.
  Status add_chunk(ChunkId id, const os::Fd& memfd, uint64_t size);

  // free takes back a slot. False, and nothing changes: the chunk is not ours, or that part of
  // it is not allocated. The last slot of a retired chunk ends it: see take_ended.
  bool free(const Location& where);

  // writable is where the bytes of a slot lie, or nullptr when no chunk of ours has that range.
  std::byte* writable(const Location& where);

  // retire: the node wants the chunk back. It takes no more slots and ends when it is empty,
  // which may be now. Nothing happens when the chunk is unknown.
  void retire(ChunkId id);

  // take_ended returns the retired chunks that have ended; the caller tells the node.
  std::vector<ChunkId> take_ended() { return std::exchange(ended_, {}); }
  bool has_ended() const { return !ended_.empty(); }

  // give_back_all_empty forgets every empty chunk at once, for when memory is short, and returns
  // them.
  std::vector<ChunkId> give_back_all_empty();

  ArenaStats stats() const;

  // is_valid walks everything and checks the invariants. For tests and audits.
  bool is_valid() const;

 private:
  enum class Use : uint8_t { kUnsettled, kShared, kOwn, kRetired };

  struct Chunk {
    Chunk(ChunkId id_, os::Mapping mapping_)
        : id(id_), mapping(std::move(mapping_)), spans(mapping.size()) {}

    const ChunkId id;
    os::Mapping mapping;
    SpanAllocator spans;
    Use use = Use::kUnsettled;
    uint64_t empty_since = 0;  // change number; counts only while the chunk is empty
  };

  static bool is_empty_longer(const Chunk* a, const Chunk* b);
  bool is_crowded_for(uint64_t size) const;
  Chunk* take_own(uint64_t size);
  Chunk* find_shared(uint64_t size);
  Slot place(Chunk* chunk, uint64_t size);
  std::vector<Chunk*> empty_chunks() const;  // the longest empty first
  uint64_t warm_bytes() const;
  void unlist(Chunk* chunk);
  ChunkId forget(Chunk* chunk);

  std::unordered_map<ChunkId, std::unique_ptr<Chunk>> chunks_;
  std::vector<Chunk*> unsettled_;  // granted, nothing in them yet: rarely more than one
  std::vector<Chunk*> shared_;     // oldest first
  std::vector<Chunk*> spare_;
  Chunk* current_ = nullptr;  // of shared_, the one that gave the last slot
  size_t own_chunks_ = 0;

  std::vector<ChunkId> ended_;

  uint64_t changes_ = 0;  // allocations, frees and chunks added
};

}  // namespace bolide::store

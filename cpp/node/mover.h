// mover: takes stored objects to another place while nobody reads them, so that chunks can be
// closed: those that are mostly holes (into other chunks), and when memory is short any (to the
// disk).
//
// A chunk is emptied as a whole or not at all, since memory goes back only by whole chunks. Its
// objects are copied without the lock, where they lie they stay readable; then, under the lock,
// each is given its new place, unless somebody has begun to read it meanwhile: then the copy is
// dropped. Functions and what else the node looks into stay in memory.
//
// An object may move when no process but the node's can know its place (entry->readers is 0) and
// nobody here has pinned it. docs/reference_counting.md says why these two are enough.
//
// Thread safety: every method is called with the node's lock held, which `mutex` is; the copies run
// in threads of the pool.
// Invariant: a chunk in `evacuating_` is retired, its listed objects have a reference and their
// chunk a pin, until `finish`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "node/objects.h"
#include "store/arena.h"
#include "store/io_pool.h"
#include "store/spill_files.h"
#include "store/views.h"

namespace bolide::node {

inline constexpr ClientId kNode{1};  // whose chunks the values are moved into

// What the mover needs of the node.
class MoverOwner {
 public:
  virtual ~MoverOwner() = default;
  // Asks the chunk's writer to use it no more and to give it back when it is empty.
  virtual void retire(ChunkId chunk) = 0;
  // Room in the arena of this process, beyond the budget: it frees more than it takes.
  virtual Status reserve_for_move(uint64_t size, store::Slot* slot) = 0;
  virtual void free_span(const Location& where) = 0;
  virtual const std::byte* resolve_locked(const Location& where) = 0;
  // Whether no process may still be reading an exported function in the store.
  virtual bool may_move_function(ObjectId function) = 0;
  // Room on the disk. Nothing is said about an error: failed_to_spill tells it.
  virtual Result<store::SpillPlace> place_on_disk(uint64_t size) = 0;
  virtual void failed_to_spill(const Status& why) = 0;
  // Asks the workers that know where these lie to forget it.
  virtual void recall(std::span<store::ObjectEntry* const> entries) = 0;
  // A move has ended; `any`: something has gone, so that chunks may have become free.
  virtual void moved(bool any) = 0;
};

class BOLIDE_API Mover {
 public:
  Mover(Mutex& mutex, Objects& objects, store::Views& views, store::IoPool& pool, MoverOwner& owner)
      : mutex_(mutex), objects_(objects), views_(views), pool_(pool), owner_(owner) {}
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  // compact empties chunks that are orphaned or less than half live, and where a fifth of the store
  // is wasted also others; as far as it is time.
  void compact(Nanos now);
  // next_look is when compact should be called again although nothing changes.
  std::optional<Nanos> next_look() const;

  // evacuate begins to empty a chunk. False: some of its objects cannot move now.
  enum class Target : uint8_t { kMemory, kDisk };
  bool evacuate(ChunkId chunk, Target target);

  bool is_moving(ChunkId chunk) const { return evacuating_.contains(chunk); }
  bool is_leaving(ChunkId chunk) const;  // to the disk
  bool is_idle() const { return evacuating_.empty(); }
  uint64_t bytes_in_flight() const { return in_flight_; }
  uint64_t bytes_spilled() const { return spilled_; }  // ever

 private:
  struct Piece {
    store::ObjectEntry* entry;
    Location from;
    const std::byte* source;
    store::Slot to;           // if it stays in memory
    store::SpillPlace place;  // if it is to be written to the disk; it may lie there already
    bool leaves;
  };
  struct Evacuation {
    ChunkId chunk;
    Target target;
    uint64_t bytes = 0;
    std::vector<Piece> pieces;
  };

  bool has_waste() const;
  static bool leaves(const store::ObjectEntry* entry, Target target);
  std::vector<ChunkId> candidates() const;
  bool may_move(ChunkId chunk, std::vector<store::ObjectEntry*>* entries);
  bool add_piece(Evacuation& evacuation, store::ObjectEntry* entry);
  static Status copy(Evacuation& evacuation);
  bool finish(Evacuation& evacuation, const Status& copied);

  Mutex& mutex_;
  Objects& objects_;
  store::Views& views_;
  store::IoPool& pool_;
  MoverOwner& owner_;
  std::unordered_map<ChunkId, std::shared_ptr<Evacuation>> evacuating_;
  uint64_t in_flight_ = 0;
  uint64_t spilled_ = 0;
  Nanos looked_at_ = INT64_MIN / 2;
  Nanos pause_ = 0;  // from that look to the next
  uint64_t changes_seen_ = 0;
};

}  // namespace bolide::node

// objects: the node's reference table joined with the bytes: what happens when an object gets
// its value and when its last reference goes.
//
// Not thread safe: the node's lock guards it.
//
// Invariants (docs/reference_counting.md)
//   1. refs of an entry = clients that hold it + tasks that name it as argument, function or
//      return + containers that hold its id.
//   2. A pending object is held by the task that makes it, a promise by the engine, so an entry
//      without references is ready, and it is freed at once, with its bytes.
//   3. A container holds its contained ids until it is freed itself.
//   4. An entry whose value is away for good has a place in spilled_. One that has come back keeps
//      it, since its bytes never change: it need not be written again.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/assert.h"
#include "base/status.h"
#include "store/object_table.h"
#include "store/registry.h"
#include "store/spill_files.h"

namespace bolide::node {

// What the owner does when bytes, functions or actors go.
class ObjectsOwner {
 public:
  virtual ~ObjectsOwner() = default;
  // The span of this live client's chunk is free again.
  virtual void span_freed(ClientId owner, const Location& where) = 0;
  // The chunk was closed: readers may unmap it.
  virtual void chunk_closed(ChunkId chunk) = 0;
  // What this object had on the disk is not needed any more. To be dropped without the lock.
  virtual void place_freed(ObjectId object, store::SpillPlace place) = 0;
  // After a span was freed or a chunk was closed, or when bytes of a dead client's chunk have
  // become a hole.
  virtual void store_changed() = 0;
  virtual void function_freed(ObjectId function) = 0;
  virtual void actor_freed(ObjectId actor) = 0;
  virtual void group_freed(ObjectId group) = 0;
  virtual void stream_freed(ObjectId stream) = 0;
};

class BOLIDE_API Objects {
 public:
  Objects(uint64_t budget, ObjectsOwner& owner) : registry_(budget), owner_(owner) {}

  store::ObjectTable& table() { return table_; }
  store::Registry& registry() { return registry_; }
  ObjectsOwner& owner() { return owner_; }

  store::ObjectEntry* find(ObjectId id) { return table_.find(id); }
  store::ObjectEntry* add(ObjectId id, uint32_t refs) {
    store::ObjectEntry* entry = table_.add(id);
    entry->refs = refs;
    return entry;
  }

  // enter puts an entry that was made apart into the table, under that id.
  void enter(store::ObjectEntry* entry, ObjectId id);

  // hold_contained makes the entry a container of those ids. Unknown ids are an error of the
  // sender (kInvalid); nothing is held then.
  Status hold_contained(store::ObjectEntry* entry, const uint64_t* ids, uint32_t count);

  // seal books a stored value that `owner` has written and makes the entry ready.
  Status seal(store::ObjectEntry* entry, const Location& where, ClientId owner, uint8_t flags);

  // move_stored: the value of an entry that has departed lies at `where` now, in a chunk of
  // `owner`; its former place is free. On failure nothing has changed.
  Status move_stored(store::ObjectEntry* entry, const Location& where, ClientId owner);

  // keep_place: the value was written to the disk too. put_away: an entry that has such a place has
  // departed; its place in memory is free, and it stays away. bring_back: it was read to `where`, in
  // a chunk of `owner`; on failure nothing has changed.
  void keep_place(store::ObjectEntry* entry, store::SpillPlace place);
  void put_away(store::ObjectEntry* entry);
  Status bring_back(store::ObjectEntry* entry, const Location& where, ClientId owner);
  // place_of is where a value lies on the disk, nullptr if it was never written there.
  const store::SpillPlace* place_of(const store::ObjectEntry* entry) const;
  uint64_t spilled_objects() const { return spilled_.size(); }
  uint64_t spilled_bytes() const { return spilled_bytes_; }

  // release drops one reference and frees what is not referenced any more, contained objects
  // included, without recursion.
  void release(store::ObjectEntry* entry) {
    if (--entry->refs != 0) return;
    BOLIDE_DCHECK(entry->ready(), "an object without a value lost its last reference");
    // Most are small values that are nothing else.
    const bool plain = entry->holding != store::Holding::kStored && entry->value_flags == 0 &&
                       (entry->flags & store::kHasContained) == 0;
    plain ? table_.erase(entry) : free_all(entry);
  }

 private:
  void free_all(store::ObjectEntry* first);
  void free_bytes(ObjectId object, const Location& where);
  void free_place(ObjectId object);

  store::ObjectTable table_;
  store::Registry registry_;
  std::unordered_map<uint64_t, store::SpillPlace> spilled_;
  uint64_t spilled_bytes_ = 0;
  ObjectsOwner& owner_;
};

}  // namespace bolide::node

// object_table: the objects that one process knows, by id, with their values and how many
// holders each has. The node's table is the reference table of docs/reference_counting.md; a
// worker has a small one for the references that live in it.
//
// Not a garbage collector: whoever brings `refs` to zero calls erase() and deals with what the
// entry held (contained ids, stored bytes).
//
// Thread safety: the holder of the owner's lock changes it. Two exceptions, for a thread that holds
// a reference: it may read `state` without the lock (kReady is stored with release after the
// value, and from then on the value stays as it is, but for `where`), and it may pin `presence`;
// while it has a pin, `where` stays as it is too.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/api.h"
#include "base/flat_map.h"
#include "base/ids.h"
#include "base/location.h"
#include "store/presence.h"

namespace bolide::store {

enum class ObjectState : uint8_t { kPending = 0, kReady = 1 };

// How an entry keeps its value.
enum class Holding : uint8_t { kNothing = 0, kSmall, kHeap, kStored };

enum EntryFlags : uint8_t {
  kHasContained = 1,   // its contained ids are in the table's side map
  kWatched = 2,        // somebody waits: the owner's watch list knows who
  kHasDependents = 4,  // tasks wait for it: the owner's dependency table knows which
  kAsked = 8,          // a worker has asked the node for the value, and holds a reference for it
  kAskedReady = 16,    // a worker has asked the node to be told when it is ready
  kKnownReady = 32,    // a worker was told so; it has not got the value
  kHasSite = 64,       // where it was made is in the table's side map
};

inline constexpr size_t kSmallBytes = 24;

struct ObjectEntry {
  ObjectId id;
  std::atomic<ObjectState> state;
  Holding holding;
  uint8_t flags;        // EntryFlags
  uint8_t value_flags;  // ipc::ValueFlags, set with the value
  uint32_t refs;
  void* handle;   // what the language binding attaches (its interned reference), or nullptr
  uint32_t readers;    // of a stored value, in the node: see docs/reference_counting.md
  Presence presence;   // of a stored value
  uint8_t small_size;
  union {
    std::byte small[kSmallBytes];
    struct {
      std::byte* data;
      uint64_t size;
    } heap;
    Location where;   // its size never changes
    void* producer;  // while pending: the node's task
  };

  ObjectEntry() : producer(nullptr) {}
  bool ready() const { return state.load(std::memory_order_acquire) == ObjectState::kReady; }
};
static_assert(sizeof(ObjectEntry) == 64);

// A value's bytes as a reader gets them; for stored values `data` is not set.
struct ValueBytes {
  const std::byte* data;
  uint64_t size;
};

class BOLIDE_API ObjectTable {
 public:
  ObjectTable() = default;
  ~ObjectTable();
  ObjectTable(const ObjectTable&) = delete;
  ObjectTable& operator=(const ObjectTable&) = delete;

  // add makes a pending entry without holders. The id must not be in the table.
  ObjectEntry* add(ObjectId id);

  // add_apart makes one that find() does not find until enter() puts it into the table, under the
  // same id or another one: for objects that nobody can name yet.
  ObjectEntry* add_apart(ObjectId id);
  void enter(ObjectEntry* entry, ObjectId id);

  ObjectEntry* find(ObjectId id) {
    ObjectEntry** place = map_.find(id.value);
    return place == nullptr ? nullptr : *place;
  }

  // set_inline copies the value into the entry and makes it ready.
  void set_inline(ObjectEntry* entry, const void* data, uint64_t size, uint8_t flags);
  // set_stored records where the value lies and makes the entry ready.
  void set_stored(ObjectEntry* entry, const Location& where, uint8_t flags);

  // inline_value is the value of a ready entry that is not stored.
  static ValueBytes inline_value(const ObjectEntry* entry) {
    if (entry->holding == Holding::kHeap) return {entry->heap.data, entry->heap.size};
    return {entry->small, entry->small_size};
  }

  // value_size is that of a ready entry's value, stored or not.
  static uint64_t value_size(const ObjectEntry* entry) {
    return entry->holding == Holding::kStored ? entry->where.size : inline_value(entry).size;
  }

  void set_contained(ObjectEntry* entry, const uint64_t* ids, uint32_t count);
  // take_contained removes and returns the contained ids (empty when there are none).
  std::vector<ObjectId> take_contained(ObjectEntry* entry);
  const std::vector<ObjectId>* contained(const ObjectEntry* entry) const;

  // set_site notes where in the program the object was made, unless that is known; site is nullptr
  // for what was never noted. Many objects are made in one place, so its text is kept once, and
  // for as long as the table.
  void set_site(ObjectEntry* entry, std::string_view text);
  const std::string* site(const ObjectEntry* entry) const;
  bool knows_sites() const { return !site_texts_.empty(); }

  // erase forgets the entry and frees what it holds in this process.
  void erase(ObjectEntry* entry);

  size_t size() const { return map_.size(); }
  uint64_t heap_bytes() const { return heap_bytes_; }

  template <class Visit>
  void for_each(Visit visit) {
    map_.for_each([&](uint64_t, ObjectEntry* entry) { visit(entry); });
  }

 private:
  static constexpr size_t kSlabEntries = 512;

  FlatMap<ObjectEntry*> map_;
  std::vector<std::unique_ptr<ObjectEntry[]>> slabs_;
  ObjectEntry* free_ = nullptr;       // linked through `handle`
  std::unordered_map<uint64_t, std::vector<ObjectId>> contained_;
  std::unordered_map<uint64_t, const std::string*> sites_;  // of site_texts_
  std::unordered_set<std::string> site_texts_;
  uint64_t heap_bytes_ = 0;
};

}  // namespace bolide::store

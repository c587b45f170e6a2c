#include "store/object_table.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace bolide::store {

ObjectTable::~ObjectTable() {
  for_each([](ObjectEntry* entry) {
    if (entry->holding == Holding::kHeap) std::free(entry->heap.data);
  });
}

ObjectEntry* ObjectTable::add(ObjectId id) {
  ObjectEntry* entry = add_apart(id);
  BOLIDE_DCHECK(map_.find(id.value) == nullptr, "an object id is used twice");
  map_.insert(id.value, entry);
  return entry;
}

ObjectEntry* ObjectTable::add_apart(ObjectId id) {
  BOLIDE_DCHECK(id.value != 0, "an object id is used twice");
  if (free_ == nullptr) {
    // Entries stay where they are for life: references point at them.
    slabs_.push_back(std::make_unique<ObjectEntry[]>(kSlabEntries));
    for (size_t i = kSlabEntries; i-- > 0;) {
      ObjectEntry& fresh = slabs_.back()[i];
      fresh.handle = free_;
      free_ = &fresh;
    }
  }
  ObjectEntry* entry = free_;
  free_ = static_cast<ObjectEntry*>(entry->handle);
  entry->id = id;
  entry->state.store(ObjectState::kPending, std::memory_order_relaxed);  // not yet shared
  entry->holding = Holding::kNothing;
  entry->flags = 0;
  entry->value_flags = 0;
  entry->small_size = 0;
  entry->refs = 0;
  entry->readers = 0;
  entry->presence.reset();
  entry->handle = nullptr;
  entry->producer = nullptr;
  return entry;
}

void ObjectTable::set_inline(ObjectEntry* entry, const void* data, uint64_t size,
                             uint8_t flags) {
  if (size <= kSmallBytes) {
    entry->holding = Holding::kSmall;
    entry->small_size = static_cast<uint8_t>(size);
    if (size != 0) std::memcpy(entry->small, data, size);
  } else {
    auto* copy = static_cast<std::byte*>(std::malloc(size));
    BOLIDE_CHECK(copy != nullptr, "no memory for an object's value");
    std::memcpy(copy, data, size);
    entry->holding = Holding::kHeap;
    entry->heap = {copy, size};
    heap_bytes_ += size;
  }
  entry->value_flags = flags;
  entry->state.store(ObjectState::kReady, std::memory_order_release);  // partner: ready()
}

void ObjectTable::set_stored(ObjectEntry* entry, const Location& where, uint8_t flags) {
  entry->holding = Holding::kStored;
  entry->where = where;
  entry->value_flags = flags;
  entry->state.store(ObjectState::kReady, std::memory_order_release);  // partner: ready()
}

void ObjectTable::set_contained(ObjectEntry* entry, const uint64_t* ids, uint32_t count) {
  if (count == 0) return;
  auto& list = contained_[entry->id.value];
  list.reserve(count);
  for (uint32_t i = 0; i < count; ++i) list.push_back(ObjectId{ids[i]});
  entry->flags |= kHasContained;
}

std::vector<ObjectId> ObjectTable::take_contained(ObjectEntry* entry) {
  if ((entry->flags & kHasContained) == 0) return {};
  entry->flags = static_cast<uint8_t>(entry->flags & ~kHasContained);
  auto node = contained_.extract(entry->id.value);
  return std::move(node.mapped());
}

const std::vector<ObjectId>* ObjectTable::contained(const ObjectEntry* entry) const {
  if ((entry->flags & kHasContained) == 0) return nullptr;
  return &contained_.find(entry->id.value)->second;
}

void ObjectTable::set_site(ObjectEntry* entry, std::string_view text) {
  if ((entry->flags & kHasSite) != 0) return;
  sites_[entry->id.value] = &*site_texts_.emplace(text).first;
  entry->flags |= kHasSite;
}

const std::string* ObjectTable::site(const ObjectEntry* entry) const {
  return (entry->flags & kHasSite) == 0 ? nullptr : sites_.find(entry->id.value)->second;
}

void ObjectTable::enter(ObjectEntry* entry, ObjectId id) {
  BOLIDE_DCHECK((entry->flags & kHasSite) == 0, "an object without a name was made nowhere");
  if ((entry->flags & kHasContained) != 0 && entry->id != id) {
    auto node = contained_.extract(entry->id.value);
    node.key() = id.value;
    contained_.insert(std::move(node));
  }
  entry->id = id;
  BOLIDE_DCHECK(map_.find(id.value) == nullptr, "an object id is used twice");
  map_.insert(id.value, entry);
}

void ObjectTable::erase(ObjectEntry* entry) {
  BOLIDE_DCHECK((entry->flags & kHasContained) == 0, "contained ids must be taken first");
  if (entry->holding == Holding::kHeap) {
    heap_bytes_ -= entry->heap.size;
    std::free(entry->heap.data);
  }
  if ((entry->flags & kHasSite) != 0) sites_.erase(entry->id.value);
  map_.erase(entry->id.value);
  entry->holding = Holding::kNothing;
  entry->handle = free_;
  free_ = entry;
}

}  // namespace bolide::store

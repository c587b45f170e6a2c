#include "node/objects.h"

#include "base/assert.h"
#include "ipc/records.h"

namespace bolide::node {

using store::Holding;
using store::ObjectEntry;

void Objects::enter(ObjectEntry* entry, ObjectId id) {
  if (entry->holding == Holding::kStored) registry_.rename_object(entry->where, entry->id, id);
  table_.enter(entry, id);
}

Status Objects::hold_contained(ObjectEntry* entry, const uint64_t* ids, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    ObjectEntry* inner = table_.find(ObjectId{ids[i]});
    if (inner == nullptr) {
      while (i-- > 0) release(table_.find(ObjectId{ids[i]}));
      return Status(Code::kInvalid, "a value contains a reference to an object that is gone");
    }
    ++inner->refs;
  }
  table_.set_contained(entry, ids, count);
  return Status();
}

Status Objects::seal(ObjectEntry* entry, const Location& where, ClientId owner, uint8_t flags) {
  Status sealed = registry_.seal_object(where, owner, entry->id);
  if (!sealed.is_ok()) return sealed;
  table_.set_stored(entry, where, flags);
  return Status();
}

Status Objects::move_stored(ObjectEntry* entry, const Location& where, ClientId owner) {
  Status sealed = registry_.seal_object(where, owner, entry->id);
  if (!sealed.is_ok()) return sealed;
  const Location former = entry->where;
  entry->where.chunk = where.chunk;
  entry->where.offset = where.offset;
  free_bytes(entry->id, former);
  return Status();
}

void Objects::free_bytes(ObjectId object, const Location& where) {
  const auto freed = registry_.free_object(where, object);
  if (!freed) return;
  if (!freed->orphaned) {
    owner_.span_freed(freed->owner, where);
  } else if (freed->empty) {
    owner_.chunk_closed(where.chunk);
  }
  owner_.store_changed();
}

void Objects::keep_place(ObjectEntry* entry, store::SpillPlace place) {
  spilled_bytes_ += place.size();
  spilled_[entry->id.value] = std::move(place);
}

void Objects::put_away(ObjectEntry* entry) {
  const Location former = entry->where;
  entry->where.chunk = ChunkId{0};
  free_bytes(entry->id, former);
}

Status Objects::bring_back(ObjectEntry* entry, const Location& where, ClientId owner) {
  Status sealed = registry_.seal_object(where, owner, entry->id);
  if (!sealed.is_ok()) return sealed;
  entry->where.chunk = where.chunk;
  entry->where.offset = where.offset;
  entry->presence.arrive();
  return Status();
}

const store::SpillPlace* Objects::place_of(const ObjectEntry* entry) const {
  const auto found = spilled_.find(entry->id.value);
  return found == spilled_.end() ? nullptr : &found->second;
}

void Objects::free_place(ObjectId object) {
  auto node = spilled_.extract(object.value);
  if (node.empty()) return;
  spilled_bytes_ -= node.mapped().size();
  owner_.place_freed(object, std::move(node.mapped()));
}

void Objects::free_all(ObjectEntry* first) {
  std::vector<ObjectEntry*> gone{first};
  while (!gone.empty()) {
    ObjectEntry* entry = gone.back();
    gone.pop_back();
    for (ObjectId id : table_.take_contained(entry)) {
      ObjectEntry* inner = table_.find(id);
      if (--inner->refs == 0) gone.push_back(inner);
    }
    if ((entry->value_flags & ipc::kFunction) != 0) owner_.function_freed(entry->id);
    if ((entry->value_flags & ipc::kActor) != 0) owner_.actor_freed(entry->id);
    if ((entry->value_flags & ipc::kGroup) != 0) owner_.group_freed(entry->id);
    if ((entry->value_flags & ipc::kStream) != 0) owner_.stream_freed(entry->id);
    if (entry->holding == Holding::kStored) {
      if (!entry->presence.is_away()) free_bytes(entry->id, entry->where);
      if (!spilled_.empty()) free_place(entry->id);
    }
    table_.erase(entry);
  }
}

}  // namespace bolide::node

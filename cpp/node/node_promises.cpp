// node_promises: objects whose value comes later, for an engine that runs calls in the driver's process.
//
// Here no task holds the pending object (objects.h, invariant 2): the engine does, by a reference of its own,
// until it has kept the promise.
#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

constexpr ClientId kDriver{1};

}  // namespace

Result<ObjectEntry*> Node::promise() {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  return objects_.add(next_ids(1), 1);
}

Status Node::keep_inline(ObjectEntry* promised, const void* data, uint64_t size,
                         std::span<const uint64_t> contained, uint8_t flags) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  if (promised->ready()) return Status();
  Status held = objects_.hold_contained(promised, contained.data(),
                                        static_cast<uint32_t>(contained.size()));
  if (!held.is_ok()) return held;
  objects_.table().set_inline(promised, data, size, flags);
  value_ready(promised);
  rouse_leader();
  return Status();
}

Status Node::keep_stored(ObjectEntry* promised, const store::Slot& slot,
                         std::span<const uint64_t> contained, uint8_t flags) {
  MutexLock lock(mutex_);
  if (closed_ || promised->ready()) {
    free_span(slot.where);
    return closed_ ? closed_status() : Status();
  }
  Status kept = objects_.hold_contained(promised, contained.data(),
                                        static_cast<uint32_t>(contained.size()));
  if (kept.is_ok()) {
    kept = objects_.seal(promised, slot.where, kDriver, flags);
    if (!kept.is_ok()) {
      for (ObjectId id : objects_.table().take_contained(promised)) {
        objects_.release(objects_.find(id));
      }
    }
  }
  if (!kept.is_ok()) {
    free_span(slot.where);
    return kept;
  }
  value_ready(promised);
  rouse_leader();
  return Status();
}

}  // namespace bolide::node

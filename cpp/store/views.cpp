#include "store/views.h"

#include <utility>

#include "base/fault.h"
#include "store/sizes.h"

namespace bolide::store {

template <class AnyTable>
auto* Views::find(AnyTable& views, const Location& where) {
  const auto found = views.find(where.chunk);
  const bool is_readable = found != views.end() && !found->second.dropped &&
                           in_range(where, found->second.mapping.size());
  return is_readable ? &found->second : nullptr;
}

bool Views::has(ChunkId id) const {
  MutexLock lock(mutex_);
  const auto found = views_.find(id);
  return found != views_.end() && !found->second.dropped;
}

Status Views::add(ChunkId id, const os::Fd& memfd, uint64_t size) {
  if (has(id)) return Status();
  BOLIDE_FAULT_AT("store.view.map");
  auto mapping = os::Mapping::map(memfd, size, os::Access::kRead);
  if (!mapping.is_ok()) return mapping.status();
  View fresh{mapping.take()};  // unmapped after the lock is gone when another thread was faster
  MutexLock lock(mutex_);
  views_.try_emplace(id, std::move(fresh)).first->second.dropped = false;
  return Status();
}

const std::byte* Views::resolve(const Location& where) const {
  MutexLock lock(mutex_);
  const View* view = find(views_, where);
  return view == nullptr ? nullptr : view->mapping.data() + where.offset;
}

const std::byte* Views::resolve_pinned(const Location& where) {
  MutexLock lock(mutex_);
  View* view = find(views_, where);
  if (view == nullptr) return nullptr;
  ++view->pins;
  return view->mapping.data() + where.offset;
}

bool Views::pin(ChunkId id) {
  MutexLock lock(mutex_);
  const auto found = views_.find(id);
  if (found == views_.end()) return false;
  ++found->second.pins;
  return true;
}

bool Views::unpin(ChunkId id) {
  Table::node_type gone;  // unmapped after the lock is gone
  MutexLock lock(mutex_);
  const auto found = views_.find(id);
  if (found == views_.end() || found->second.pins == 0) return false;
  if (--found->second.pins == 0 && found->second.dropped) gone = views_.extract(found);
  return true;
}

bool Views::drop(ChunkId id) {
  Table::node_type gone;  // unmapped after the lock is gone
  MutexLock lock(mutex_);
  const auto found = views_.find(id);
  if (found == views_.end()) return false;
  if (found->second.pins != 0) {
    found->second.dropped = true;
    return false;
  }
  gone = views_.extract(found);
  return true;
}

ViewStats Views::stats() const {
  MutexLock lock(mutex_);
  ViewStats stats{views_.size(), 0, 0, 0};
  for (const auto& [id, view] : views_) {
    stats.mapped += view.mapping.size();
    stats.pins += view.pins;
    stats.closed += view.dropped ? 1 : 0;
  }
  return stats;
}

}  // namespace bolide::store

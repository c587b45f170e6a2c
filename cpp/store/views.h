// views: the reading side of the store in one process: chunks mapped read-only, shared by all
// the objects that were read from them.
//
// Not the count of references (object_table.h): a pin here only keeps a mapping for as long as a
// buffer of this process lies in it, also past the moment at which the node closes the chunk. Who
// hands out buffers keeps the Views alive as long as they are.
//
// A Location comes from another process and is never trusted: resolve() checks it against what is
// mapped here. A chunk's pages cannot shrink (F_SEAL_SHRINK), so what is in range can be read.
//
// Thread safety: every method may be called from any thread. Mapping and unmapping, which take
// milliseconds for large chunks, happen outside the lock.
// Invariants: 1. A mapping exists while it is pinned or not dropped. 2. A dropped chunk is not
// found any more; only what was pinned before stays readable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/api.h"
#include "base/ids.h"
#include "base/location.h"
#include "base/mutex.h"
#include "base/status.h"
#include "os/fd.h"
#include "os/memory.h"

namespace bolide::store {

struct ViewStats {
  uint64_t chunks;
  uint64_t mapped;  // bytes of address space
  uint64_t pins;
  uint64_t closed;  // of `chunks`, those that only pins keep
};

class BOLIDE_API Views {
 public:
  Views() = default;
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  bool has(ChunkId id) const EXCLUDES(mutex_);

  // add maps a chunk. OK when it is there already: two threads may have asked for it.
  Status add(ChunkId id, const os::Fd& memfd, uint64_t size) EXCLUDES(mutex_);

  // resolve is where the bytes of `where` can be read, or nullptr when the chunk is unknown or
  // the range lies outside it. Without a pin the pointer is good only while the caller holds a
  // reference to the object.
  const std::byte* resolve(const Location& where) const EXCLUDES(mutex_);

  // resolve_pinned is resolve and pin in one step; nullptr: nothing was pinned.
  const std::byte* resolve_pinned(const Location& where) EXCLUDES(mutex_);

  // pin and unpin count the buffers in a chunk. False: there is no such mapping, or no pin.
  bool pin(ChunkId id) EXCLUDES(mutex_);
  bool unpin(ChunkId id) EXCLUDES(mutex_);

  // drop: the node has closed the chunk. True when it is unmapped now, false when it is unknown
  // or stays until its last unpin.
  bool drop(ChunkId id) EXCLUDES(mutex_);

  uint64_t mapped_bytes() const { return stats().mapped; }
  ViewStats stats() const EXCLUDES(mutex_);

 private:
  struct View {
    os::Mapping mapping;
    uint64_t pins = 0;
    bool dropped = false;
  };
  using Table = std::unordered_map<ChunkId, View>;

  // find is the view in `views` that has the whole of `where`, or nullptr.
  template <class AnyTable>  // const or not
  static auto* find(AnyTable& views, const Location& where);

  mutable Mutex mutex_;
  Table views_ GUARDED_BY(mutex_);
};

}  // namespace bolide::store

// location: where the bytes of a stored object lie. It travels in ring records, so it is plain
// data with fixed widths; whoever reads one from another process checks it against the chunk.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/ids.h"

namespace bolide {

struct Location {
  ChunkId chunk;
  uint32_t reserved;
  uint64_t offset;
  uint64_t size;
};
static_assert(sizeof(Location) == 24 && std::is_trivially_copyable_v<Location>);

}  // namespace bolide

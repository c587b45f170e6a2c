// sizes: the numbers of the store that a writing client and the node must agree on.
//
// Invariant: every size up to kLargestObject can be rounded, and added to an offset inside a
// chunk, without overflow; a size above it is refused before any arithmetic is done with it.
#pragma once

#include <cstdint>
#include <string>

#include "base/api.h"
#include "base/location.h"

namespace bolide::store {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;

inline constexpr uint64_t kAlignment = 64;   // of every object; one cache line, AVX-512 loads
inline constexpr uint64_t kPage = 4 * kKiB;  // unit of charges and of chunk sizes
inline constexpr uint64_t kLargestObject = uint64_t{1} << 47;  // the address space of a process

inline constexpr uint64_t kFirstSharedChunk = 256 * kKiB;
inline constexpr uint64_t kLargestSharedChunk = 64 * kMiB;
inline constexpr uint64_t kOwnChunkFrom = kMiB;  // an object of this size gets its own chunk

constexpr uint64_t round_up(uint64_t size, uint64_t unit) {
  return (size + unit - 1) / unit * unit;
}
constexpr uint64_t page_round(uint64_t size) {
  return round_up(size, kPage);
}

// span_size is what an object takes in a chunk: an empty object too has a place of its own, so
// that two live objects never share one Location.
constexpr uint64_t span_size(uint64_t size) {
  return round_up(size == 0 ? 1 : size, kAlignment);
}

// amount writes bytes for people: "900 bytes", "1.5 MiB".
BOLIDE_API std::string amount(uint64_t bytes);

// in_range tells whether a Location, which may be forged, lies in a chunk of `chunk_size` bytes.
constexpr bool in_range(const Location& where, uint64_t chunk_size) {
  return where.size <= chunk_size && where.offset <= chunk_size - where.size;
}

}  // namespace bolide::store

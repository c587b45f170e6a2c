// parallel_copy: memcpy into the store with more than one thread where that pays.
//
// Nothing stays behind between two calls: no pool, so no thread to lose in a fork and none that
// idles. Starting a thread costs some 100 us, hence the threshold.
//
// Thread safety: as memcpy; the call returns when every byte is written and every thread is gone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/api.h"

namespace bolide::store {

inline constexpr uint64_t kParallelCopyFrom = uint64_t{4} << 20;
inline constexpr uint64_t kStreamCopyFrom = uint64_t{32} << 20;  // about a last-level cache

// parallel_copy copies `size` bytes with up to `threads` threads, the caller's among them. When
// no thread can be started the caller copies everything.
BOLIDE_API void parallel_copy(std::byte* to, const std::byte* from, uint64_t size, int threads);

}  // namespace bolide::store

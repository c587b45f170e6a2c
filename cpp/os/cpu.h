// What this process may use: cores, descriptors; and the pause instruction.
//
// Thread safety: any thread; the descriptor limit is one for the whole process.
#pragma once

#include <cstdint>

#include "base/api.h"
#include "base/status.h"

namespace bolide::os {

// Cores this process may run on: its affinity, or the control group's CPU quota (rounded up) if
// that is less; at least 1.
BOLIDE_API int usable_cores();

// The core that the calling thread runs on now.
BOLIDE_API int current_core();

struct FdLimit {
  uint64_t soft = 0;
  uint64_t hard = 0;
};

BOLIDE_API Result<FdLimit> fd_limit();

// Raises the soft limit to `wanted` if it is lower. kFull when the hard limit is lower still: the
// soft limit is then raised up to it and the sentence says what was got.
BOLIDE_API Status raise_fd_limit(uint64_t wanted);

// Puts the soft limit back, as for a worker that should see what the user's shell had set.
BOLIDE_API Status restore_fd_limit(const FdLimit& limit);

// For the body of a spin loop: leaves the core's other hardware thread some room.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace bolide::os

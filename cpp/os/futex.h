// futex_wait and futex_wake: sleeping on a 32-bit word that may lie in memory of two processes.
//
// std::atomic::wait cannot do this: it uses the kernel's private futexes, which stop at the process
// border. These are the shared kind. The protocol that makes a wake-up impossible to miss belongs
// to the caller: publish, then look whether the other side sleeps; announce the sleep, then look
// again, then wait.
//
// Thread safety: any thread of any process that maps the word.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/api.h"
#include "base/clock.h"

namespace bolide::os {

enum class Wake : uint8_t {
  kWoken,        // woken, or for no reason: look at the word again
  kTimeout,      // the time is over
  kInterrupted,  // a signal handler ran
  kChanged,      // the word was not `expected`; nothing was waited for
};

// Sleeps while *word == expected, at most `timeout` nanoseconds (negative: without limit).
BOLIDE_API Wake futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, Nanos timeout);

// Wakes up to n sleepers and returns how many there were.
BOLIDE_API int futex_wake(const std::atomic<uint32_t>* word, int n);

}  // namespace bolide::os

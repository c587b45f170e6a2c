// The system call of os/futex.h.
#include "os/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/assert.h"

namespace bolide::os {

static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(time_t) == 8, "SYS_futex takes a 64-bit timespec only on 64-bit systems");

Wake futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, Nanos timeout) {
  timespec limit{};
  limit.tv_sec = timeout / kSecond;
  limit.tv_nsec = timeout % kSecond;
  long result =
      syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout < 0 ? nullptr : &limit, nullptr, 0);
  if (result == 0) return Wake::kWoken;
  switch (errno) {
    case EAGAIN:
      return Wake::kChanged;
    case ETIMEDOUT:
      return Wake::kTimeout;
    case EINTR:
      return Wake::kInterrupted;
    default:
      check_failed(__FILE__, __LINE__, "futex wait", "the futex word is not mapped or not aligned");
  }
}

int futex_wake(const std::atomic<uint32_t>* word, int n) {
  long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, nullptr, nullptr, 0);
  BOLIDE_CHECK(woken >= 0, "the futex word is not mapped or not aligned");
  return static_cast<int>(woken);
}

}  // namespace bolide::os

// The system call of poll_fds (os/event.h).
#include <time.h>

#include <cerrno>

#include "base/assert.h"
#include "os/event.h"

namespace bolide::os {

int poll_fds(pollfd* items, size_t n, Nanos timeout) {
  timespec limit{};
  limit.tv_sec = timeout / kSecond;
  limit.tv_nsec = timeout % kSecond;
  int ready = ::ppoll(items, n, timeout < 0 ? nullptr : &limit, nullptr);
  BOLIDE_CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM, "poll was given a bad list");
  return ready;
}

}  // namespace bolide::os

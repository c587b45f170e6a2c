// Event: an eventfd, the doorbell for those who sleep in poll, and poll itself.
//
// A ring is remembered until clear(), however many there were; so the sleeper clears first and
// then looks for work.
//
// Thread safety: ring() and clear() from any thread; ring() also from another process that was
// given the descriptor.
#pragma once

#include <poll.h>

#include <cstddef>

#include "base/api.h"
#include "base/clock.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

class BOLIDE_API Event {
 public:
  Event() noexcept = default;  // no descriptor: only to be assigned to
  static Result<Event> create();

  void ring() const;
  void clear() const;
  int fd() const noexcept { return fd_.get(); }

 private:
  explicit Event(Fd fd) noexcept : fd_(std::move(fd)) {}
  Fd fd_;
};

// Waits until one of n descriptors is ready, at most `timeout` nanoseconds (negative: without
// limit). Returns how many are ready, 0 after the time, -1 when a signal handler ran.
BOLIDE_API int poll_fds(pollfd* items, size_t n, Nanos timeout);

}  // namespace bolide::os

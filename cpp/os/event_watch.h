// EventWatch: for a thread that waits for the end of its owner and, until then, for rings of an
// event that many processes watch at once.
//
// Each ring wakes each watcher; nobody clears the event, so no watcher can take a ring away from
// another one. Rings that come while the watcher is busy are one ring afterwards.
//
// Thread safety: one thread waits; the rings come from anywhere.
#pragma once

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

class BOLIDE_API EventWatch {
 public:
  enum class Woken { kRung, kEnded };

  // The owner has ended when its process is gone or the other end of `socket` is closed. The
  // descriptors stay the caller's, and open.
  static Result<EventWatch> create(const Fd& pidfd, const Fd& socket, const Fd& event);

  Woken wait() const;

 private:
  explicit EventWatch(Fd epoll) noexcept : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace bolide::os

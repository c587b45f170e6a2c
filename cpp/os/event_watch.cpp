// The system calls of os/event_watch.h.
#include "os/event_watch.h"

#include <sys/epoll.h>

#include <cerrno>

#include "base/assert.h"
#include "os/event.h"

namespace bolide::os {
namespace {

bool add(const Fd& epoll, const Fd& fd, uint32_t events, uint32_t tag) {
  epoll_event item{};
  item.events = events;
  item.data.u32 = tag;
  return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &item) == 0;
}

constexpr uint32_t kEndTag = 0;
constexpr uint32_t kRingTag = 1;

}  // namespace

Result<EventWatch> EventWatch::create(const Fd& pidfd, const Fd& socket, const Fd& event) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  // Edge-triggered: every write to the eventfd is reported once to each epoll that watches it.
  // Of the socket only the hang-up counts, which is always reported.
  if (!epoll.valid() || !add(epoll, pidfd, EPOLLIN, kEndTag) || !add(epoll, socket, 0, kEndTag) ||
      !add(epoll, event, EPOLLIN | EPOLLET, kRingTag)) {
    return system_error("cannot watch an event", errno);
  }
  return EventWatch(std::move(epoll));
}

EventWatch::Woken EventWatch::wait() const {
  for (;;) {
    pollfd item{epoll_.get(), POLLIN, 0};
    poll_fds(&item, 1, -1);  // all waiting is done there
    epoll_event items[2];
    const int ready = ::epoll_wait(epoll_.get(), items, 2, 0);
    BOLIDE_CHECK(ready >= 0 || errno == EINTR, "a watched descriptor was closed");
    for (int i = 0; i < ready; ++i) {
      if (items[i].data.u32 == kEndTag) return Woken::kEnded;
    }
    if (ready > 0) return Woken::kRung;
  }
}

}  // namespace bolide::os

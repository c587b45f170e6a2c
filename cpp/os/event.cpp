// The system calls of Event (os/event.h).
#include "os/event.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/assert.h"
#include "base/fault.h"

namespace bolide::os {

Result<Event> Event::create() {
  Fd fd(BOLIDE_FAULT_FAIL("event.create") ? (errno = EMFILE, -1)
                                          : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return system_error("cannot create an eventfd", errno);
  return Event(std::move(fd));
}

void Event::ring() const {
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = ::write(fd_.get(), &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  // EAGAIN: the counter is full, so the event is set already.
  BOLIDE_CHECK(written == sizeof one || errno == EAGAIN, "an event's descriptor was closed");
}

void Event::clear() const {
  uint64_t count;
  ssize_t got;
  do {
    got = ::read(fd_.get(), &count, sizeof count);
  } while (got < 0 && errno == EINTR);
  BOLIDE_CHECK(got == sizeof count || errno == EAGAIN, "an event's descriptor was closed");
}

}  // namespace bolide::os

// The system calls of os/pipe.h.
#include "os/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fault.h"

namespace bolide::os {

Result<std::pair<Fd, Fd>> make_pipe() {
  int ends[2];
  if (BOLIDE_FAULT_FAIL("pipe.create")) return system_error("making a pipe", EMFILE);
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("making a pipe", errno);
  std::pair<Fd, Fd> out{Fd(ends[0]), Fd(ends[1])};
  const int flags = ::fcntl(ends[0], F_GETFL);
  if (::fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) != 0) {
    return system_error("setting a pipe to non-blocking", errno);
  }
  return out;
}

size_t read_available(const Fd& fd, std::span<std::byte> into) {
  for (;;) {
    const ssize_t n = ::read(fd.get(), into.data(), into.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return 0;
  }
}

}  // namespace bolide::os

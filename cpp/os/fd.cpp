// The system calls of os/fd.h.
#include "os/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fault.h"

namespace bolide::os {

void Fd::reset(int fd) noexcept {
  int old = std::exchange(fd_, fd);
  // Linux frees the number even when close() reports EINTR: never call it twice.
  if (old >= 0) ::close(old);
}

Result<Fd> Fd::dup() const {
  int copy = BOLIDE_FAULT_FAIL("fd.dup") ? (errno = EMFILE, -1) : fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return system_error("cannot duplicate descriptor " + std::to_string(fd_), errno);
  return Fd(copy);
}

}  // namespace bolide::os

// The system calls of os/page_filler.h.
#include "os/page_filler.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/fault.h"

// Known to the kernels we run on but not to the oldest headers we build with.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace bolide::os {
namespace {

uint64_t number(const void* address) {
  return reinterpret_cast<uintptr_t>(address);
}

}  // namespace

Result<PageFiller> PageFiller::open() {
  const char* const what = "cannot have a userfaultfd";
  if (BOLIDE_FAULT_FAIL("page_filler.open")) return system_error(what, EPERM);
  // Without privileges a process may have one for its own accesses only, which are all of ours.
  Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
  if (!fd.valid() && errno == EINVAL) {  // before Linux 5.11
    fd.reset(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
  }
  if (!fd.valid()) return system_error(what, errno);
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_SIGBUS;  // what must not happen shall not hang
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) return system_error(what, errno);
  return PageFiller(std::move(fd));
}

Status PageFiller::begin(std::byte* pages, uint64_t size) {
  uffdio_register range{};
  range.range = {number(pages), size};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (::ioctl(fd_.get(), UFFDIO_REGISTER, &range) != 0) {
    return system_error("cannot watch " + std::to_string(size) + " bytes of pages", errno);
  }
  return Status();
}

void PageFiller::end(std::byte* pages, uint64_t size) {
  uffdio_range range{number(pages), size};
  static_cast<void>(::ioctl(fd_.get(), UFFDIO_UNREGISTER, &range));  // begin() took the same range
}

bool PageFiller::fill(std::byte* to, const std::byte* from, uint64_t size) const {
  for (uint64_t done = 0; done < size;) {
    if (BOLIDE_FAULT_FAIL("page_filler.fill")) return false;
    uffdio_copy copy{};
    copy.dst = number(to + done);
    copy.src = number(from + done);
    copy.len = size - done;
    if (::ioctl(fd_.get(), UFFDIO_COPY, &copy) == 0) return true;
    // EAGAIN with what was copied: the mappings of the process are changing.
    if (errno != EAGAIN || copy.copy <= 0) return false;
    done += static_cast<uint64_t>(copy.copy);
  }
  return true;
}

}  // namespace bolide::os

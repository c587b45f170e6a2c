// The system calls of os/file.h.
#include "os/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/fault.h"

namespace bolide::os {
namespace {

constexpr uint64_t kAtOnce = uint64_t{8} << 20;

Status write_error(int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  Status status = system_error("writing to a file", error);
  return full ? Status(Code::kDiskFull, status.message(), error) : std::move(status);
}

}  // namespace

Result<Fd> create_unnamed_file(const std::string& directory) {
  Fd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    return system_error("making a file in " + directory, errno);
  }
  // Some file systems, such as NFS, cannot make a file that never had a name.
  std::string path = directory + "/bolide-XXXXXX";
  file.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!file.valid()) return system_error("making a file in " + directory, errno);
  ::unlink(path.c_str());
  return file;
}

Status write_at(const Fd& file, const std::byte* from, uint64_t size, uint64_t offset) {
  while (size > 0) {
    const int fault = BOLIDE_FAULT_FAIL("file.write") ? ENOSPC : 0;
    const uint64_t part = std::min(size, kAtOnce);
    const ssize_t done =
        fault != 0 ? -1 : ::pwrite(file.get(), from, part, static_cast<off_t>(offset));
    if (done < 0) {
      const int error = fault != 0 ? fault : errno;
      if (error == EINTR) continue;
      return write_error(error);
    }
    from += done;
    offset += static_cast<uint64_t>(done);
    size -= static_cast<uint64_t>(done);
  }
  return Status();
}

Status read_at(const Fd& file, std::byte* to, uint64_t size, uint64_t offset) {
  while (size > 0) {
    if (BOLIDE_FAULT_FAIL("file.read")) return system_error("reading from a file", EIO);
    const uint64_t part = std::min(size, kAtOnce);
    const ssize_t done = ::pread(file.get(), to, part, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("reading from a file", errno);
    if (done == 0) return Status(Code::kCorrupt, "the file is shorter than what was written to it");
    to += done;
    offset += static_cast<uint64_t>(done);
    size -= static_cast<uint64_t>(done);
  }
  return Status();
}

void read_ahead(const Fd& file, uint64_t offset, uint64_t size) {
  static_cast<void>(::posix_fadvise(file.get(), static_cast<off_t>(offset),
                                    static_cast<off_t>(size), POSIX_FADV_WILLNEED));
}

void carry_to_disk(const Fd& file) {
  static_cast<void>(::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE));
}

void punch_hole(const Fd& file, uint64_t offset, uint64_t size) {
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  static_cast<void>(
      ::fallocate(file.get(), kMode, static_cast<off_t>(offset), static_cast<off_t>(size)));
}

}  // namespace bolide::os

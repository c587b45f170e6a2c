// spill_files: places on the disk for objects that memory has no room for. Objects are written one
// behind the other into files of some 256 MiB, because a file for each small one would cost more
// than its bytes. As many are being filled as there are threads that write, in turn, since the
// kernel lets only one write to a file at a time. A place that is given back becomes a hole in its
// file, and a file goes with its last place.
//
// The kernel is told to carry to the disk what has been written whenever a file has got another 64
// MiB: it would collect gigabytes, and then make everybody wait. What is dropped before never gets
// there.
//
// Thread safety: SpillFiles is guarded by the node's lock. A Place may be written and read in any
// thread without it, by one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::store {

// The right to a part of a file. It is given back by the destructor, which takes milliseconds for a
// large one: not under a lock.
class BOLIDE_API SpillPlace {
 public:
  SpillPlace() = default;
  ~SpillPlace() { reset(); }
  SpillPlace(SpillPlace&& other) noexcept = default;
  SpillPlace& operator=(SpillPlace&& other) noexcept;
  SpillPlace(const SpillPlace&) = delete;
  SpillPlace& operator=(const SpillPlace&) = delete;

  uint64_t size() const { return size_; }
  bool valid() const { return file_ != nullptr; }
  Status write(const std::byte* from);
  // read gives back what was written, or an error: kCorrupt, if somebody has changed the file.
  Status read(std::byte* to) const;

 private:
  friend class SpillFiles;
  SpillPlace(std::shared_ptr<os::Fd> file, uint64_t offset, uint64_t size)
      : file_(std::move(file)), offset_(offset), size_(size) {}
  void reset();

  std::shared_ptr<os::Fd> file_;
  uint64_t offset_ = 0;
  uint64_t size_ = 0;
  uint64_t checksum_ = 0;
};

class BOLIDE_API SpillFiles {
 public:
  SpillFiles(std::string directory, int writers)
      : directory_(std::move(directory)), filling_(static_cast<size_t>(writers)) {}

  // place is room for `size` bytes; nothing is written yet, so the disk may still be full.
  Result<SpillPlace> place(uint64_t size);

  // close lets go of the files that are being filled; places keep theirs.
  void close() {
    for (Filling& one : filling_) one.file.reset();
  }

  const std::string& directory() const { return directory_; }

 private:
  static constexpr uint64_t kFileSize = uint64_t{256} << 20;

  struct Filling {
    std::shared_ptr<os::Fd> file;
    uint64_t filled = 0;
  };
  const std::string directory_;
  std::vector<Filling> filling_;
  size_t next_ = 0;
};

}  // namespace bolide::store

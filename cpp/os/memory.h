// Shared memory without a name: memfds, their seals and their mappings; and how much memory is
// left.
//
// A writer makes a memfd, maps it read-write, seals it with seal_future_write() and hands the
// descriptor out. From then on nobody can map it writable, shrink it or grow it, so that readers
// see immutable pages that can never raise SIGBUS.
//
// Thread safety: a Mapping belongs to one thread at a time; the bytes are the caller's affair.
// Invariants: a mapping never exceeds the file at the time of the call; writable mappings do not
// reach a forked child; no mapping reaches a core dump.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/api.h"
#include "base/clock.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

// A close-on-exec, sealable, non-executable memfd of `size` zero bytes, none of them touched. It
// shows as "memfd:bolide-<name>" in /proc.
BOLIDE_API Result<Fd> create_memfd(const char* name, uint64_t size);

// Forbids further writable mappings, shrinking and growing, for ever. Existing mappings keep
// working, so the writer maps first.
BOLIDE_API Status seal_future_write(const Fd& memfd);

// Opens a memfd that another process of this user has open, to write into it. kInvalid: there is no
// such process or descriptor, or it is no memfd.
BOLIDE_API Result<Fd> open_memfd_of(int pid, int fd);

// The F_SEAL_* bits in force.
BOLIDE_API Result<int> seals(const Fd& memfd);

enum class Access : uint8_t { kRead, kReadWrite };

class BOLIDE_API Mapping {
 public:
  Mapping() noexcept = default;
  ~Mapping() { reset(); }
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Maps the first `size` bytes shared. kInvalid when the file is shorter than that.
  static Result<Mapping> map(const Fd& fd, uint64_t size, Access access);

  std::byte* data() const noexcept { return data_; }
  uint64_t size() const noexcept { return size_; }
  bool valid() const noexcept { return data_ != nullptr; }

  // settle puts a writable mapping where leave() takes microseconds: at an aligned address, with
  // as much address space of the same alignment in reserve, so that the kernel moves whole page
  // tables and not single pages. The address changes. May be called again after leave().
  Status settle();

  // leave ends the writing at this address. What stays there is returned: the same bytes, from now
  // on to be read only, also by forked children; a write is SIGSEGV. (A guard against accidents:
  // this process could ask for the right again, no other one can.) This mapping has moved to
  // another address and is writable there. On failure nothing has changed.
  Result<Mapping> leave();

  // private_copy holds the same bytes in memory that nobody else sees and that forked children
  // get; move_to moves such a copy to a page's address, over whatever is mapped there.
  static Result<Mapping> private_copy(const std::byte* from, uint64_t size);
  Status move_to(std::byte* address);

  // Unmaps. Views into the memory are dangling from here on.
  void reset() noexcept;

 private:
  Mapping(std::byte* data, uint64_t size, uint64_t span) noexcept
      : data_(data), size_(size), span_(span) {}
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
  uint64_t span_ = 0;            // address space in use; what is past size_ is never touched
  std::byte* reserve_ = nullptr;  // span_ bytes of address space, for leave()
};

// RAM of the machine, or the limit of the control group if that is less.
BOLIDE_API uint64_t total_memory();

// What can be had without swapping (MemAvailable), or the room left in the control group if that
// is less. To read it takes a third of a millisecond, so an answer holds for kMemoryHolds.
inline constexpr Nanos kMemoryHolds = 2 * kMillisecond;
BOLIDE_API uint64_t available_memory();

// Both, or what a file of the form of /proc/meminfo says.
struct MachineMemory {
  uint64_t total = 0;
  uint64_t available = 0;
};
BOLIDE_API MachineMemory machine_memory(const std::string& meminfo = "");

}  // namespace bolide::os

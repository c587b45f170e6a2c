// page_filler: writing pages of shared memory that were never touched, many at a time.
//
// The first write to such a page costs a fault, and the kernel clears the page before the writer
// overwrites it. A userfaultfd can be asked to allocate pages with their contents instead, which
// takes a third less time, and by several threads at once (pwrite, which clears nothing either,
// takes one at a time for each file). Not every system lets a process have one; it is only faster.
//
//   begin(pages)   fill(some of them) by any threads   end(pages)
//
// Thread safety: fill from any thread between begin and end; the rest by one thread.
// Invariants: between begin and end nobody but fill() touches the pages: to touch a page that is
// still missing is SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

class BOLIDE_API PageFiller {
 public:
  // One that can do nothing.
  PageFiller() noexcept = default;

  // An error: this kernel, or the sandbox around this process, has none for it.
  static Result<PageFiller> open();
  bool valid() const noexcept { return fd_.valid(); }

  // begin takes whole pages of one writable mapping of a memfd.
  Status begin(std::byte* pages, uint64_t size);
  void end(std::byte* pages, uint64_t size);

  // fill copies `size` bytes, whole pages of those given to begin. False: they are not all there,
  // for want of memory, or because one was there before or `from` cannot be read; after end() a
  // copy of all the bytes tells which.
  bool fill(std::byte* to, const std::byte* from, uint64_t size) const;

 private:
  explicit PageFiller(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace bolide::os

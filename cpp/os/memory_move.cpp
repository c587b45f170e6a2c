// Mappings that change their address: how writing in place ends. See os/memory.h.
//
// Taking the right to write from a mapping by mprotect costs 24 ms for 1 GiB, because each page's
// entry is rewritten. Instead the page tables move to another address, whole tables at a time, and
// the old address, now without entries, becomes read-only; its pages are found again as they are
// read. A table covers 2 MiB of memory and a table of tables 1 GiB, so both addresses are aligned
// to that and a large mapping is rounded up to it. Past the end of the file nothing is touched.
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/fault.h"
#include "os/memory.h"

// Known to the kernels we run on but not to the oldest headers we build with.
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace bolide::os {
namespace {

constexpr uint64_t kTable = uint64_t{2} << 20;
constexpr uint64_t kTableOfTables = uint64_t{1} << 30;
constexpr uint64_t kFewTables = uint64_t{32} << 20;  // moved one by one in some microseconds

uint64_t alignment_for(uint64_t size) {
  return size <= kFewTables ? kTable : kTableOfTables;
}

bool is_aligned(const std::byte* address, uint64_t alignment) {
  return reinterpret_cast<uintptr_t>(address) % alignment == 0;
}

// reserve_space takes address space in which nothing can be read; nullptr when there is none.
std::byte* reserve_space(uint64_t span, uint64_t alignment) {
  const uint64_t whole = span + alignment;
  void* taken = ::mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(taken);
  const uint64_t before =
      (alignment - reinterpret_cast<uintptr_t>(begin) % alignment) % alignment;
  if (before != 0) ::munmap(begin, before);
  ::munmap(begin + before + span, whole - before - span);
  return begin + before;
}

}  // namespace

Status Mapping::settle() {
  const uint64_t alignment = alignment_for(size_);
  const uint64_t span = (size_ + alignment - 1) / alignment * alignment;
  const std::string what =
      "cannot find address space for " + std::to_string(size_) + " bytes of shared memory";
  if (BOLIDE_FAULT_FAIL("memory.settle")) return system_error(what, ENOMEM);
  if (span_ != span || !is_aligned(data_, alignment)) {
    std::byte* const target = reserve_space(span, alignment);
    if (target == nullptr) return system_error(what, errno);
    if (::mremap(data_, span_, span, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED) {
      const int error = errno;
      ::munmap(target, span);
      return system_error(what, error);
    }
    data_ = target;
    span_ = span;
  }
  if (reserve_ == nullptr) reserve_ = reserve_space(span, alignment);
  return reserve_ == nullptr ? system_error(what, errno) : Status();
}

Result<Mapping> Mapping::leave() {
  const char* what = "cannot make shared memory read-only";
  if (BOLIDE_FAULT_FAIL("memory.leave")) return system_error(what, ENOMEM);
  if (reserve_ == nullptr) reserve_ = reserve_space(span_, kTable);  // it was not settled
  if (reserve_ == nullptr) return system_error(what, errno);
  constexpr int kMove = MREMAP_MAYMOVE | MREMAP_FIXED;
  const bool moved =
      ::mremap(data_, span_, span_, kMove | MREMAP_DONTUNMAP, reserve_) != MAP_FAILED ||
      // Linux before 5.13: a second mapping, and mprotect takes its time.
      ::mremap(data_, 0, span_, kMove, reserve_) != MAP_FAILED;
  if (!moved) return system_error(what, errno);
  std::byte* const target = std::exchange(reserve_, nullptr);
  if (::mprotect(data_, span_, PROT_READ) != 0) {
    const int error = errno;
    ::munmap(target, span_);  // the pages stay, and are found again at the old address
    return system_error(what, error);
  }
  Mapping left(data_, size_, span_);
  data_ = target;
  if (::madvise(left.data_, left.span_, MADV_DOFORK) != 0) return system_error(what, errno);
  return left;
}

Result<Mapping> Mapping::private_copy(const std::byte* from, uint64_t size) {
  void* address =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    return system_error("cannot copy " + std::to_string(size) + " bytes of shared memory", errno);
  }
  std::memcpy(address, from, size);
  return Mapping(static_cast<std::byte*>(address), size, size);
}

Status Mapping::move_to(std::byte* address) {
  void* moved = ::mremap(data_, span_, span_, MREMAP_MAYMOVE | MREMAP_FIXED, address);
  if (moved == MAP_FAILED) return system_error("cannot move a mapping", errno);
  data_ = address;
  return Status();
}

}  // namespace bolide::os

// os_memory: shared memory of the simulated machine, in place of the core's os/memory.cpp. A memfd
// is a real one, but all processes see it at one address: a futex word is then one word for all.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "os/memory.h"
#include "os/page_filler.h"
#include "simulated/machine.h"
#include "simulated/os_testing.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace {

struct Shared {
  std::byte* data;
  uint64_t size;
  uint64_t mappings;
};

std::map<ino_t, Shared>& shared() {  // by inode of the memfd
  static std::map<ino_t, Shared> all;
  return all;
}

}  // namespace

size_t simulator::mapped_memories() {
  return shared().size();
}

namespace bolide::os {

Result<Fd> create_memfd(const char* name, uint64_t size) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return system_error("cannot create shared memory", errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return system_error("cannot size shared memory", errno);
  }
  return fd;
}

Status seal_future_write(const Fd& memfd) {
  constexpr int kSeals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  if (::fcntl(memfd.get(), F_ADD_SEALS, kSeals) != 0) return system_error("cannot seal", errno);
  return Status();
}

Result<int> seals(const Fd& memfd) {
  return ::fcntl(memfd.get(), F_GET_SEALS);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      span_(std::exchange(other.span_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    span_ = std::exchange(other.span_, 0);
  }
  return *this;
}

Result<Mapping> Mapping::map(const Fd& fd, uint64_t size, Access access) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_error("cannot map", errno);
  if (size == 0 || size > static_cast<uint64_t>(info.st_size)) {
    return Status(Code::kInvalid, "cannot map more than there is");
  }
  const bool sealed = (*seals(fd) & F_SEAL_FUTURE_WRITE) != 0;
  if (access == Access::kReadWrite && sealed) {
    return system_error("cannot map for writing what is sealed", EPERM);
  }
  const auto bytes = static_cast<uint64_t>(info.st_size);
  auto [found, is_new] = shared().try_emplace(info.st_ino, Shared{nullptr, bytes, 0});
  if (is_new) {
    const int rights = sealed ? PROT_READ : PROT_READ | PROT_WRITE;
    void* at = ::mmap(nullptr, bytes, rights, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return system_error("cannot map", errno);
    found->second.data = static_cast<std::byte*>(at);
  }
  ++found->second.mappings;
  return Mapping(found->second.data, size, size);
}

// No page of this machine is protected, so that a mapping can stay where it is.
Status Mapping::settle() {
  return Status();
}

Result<Mapping> Mapping::leave() {
  for (auto& [inode, memory] : shared()) {
    if (memory.data == data_) ++memory.mappings;
  }
  return Mapping(data_, size_, size_);
}

void Mapping::reset() noexcept {
  if (data_ == nullptr) return;
  for (auto it = shared().begin(); it != shared().end(); ++it) {
    if (it->second.data != data_) continue;
    if (--it->second.mappings == 0) {
      ::munmap(it->second.data, it->second.size);
      shared().erase(it);
    }
    break;
  }
  data_ = nullptr;
  size_ = 0;
  span_ = 0;
}

uint64_t total_memory() {
  return uint64_t{1} << 40;
}
uint64_t available_memory() {
  return simulator::Machine::here().available_memory();
}
Result<Fd> open_memfd_of(int, int) {
  return Status(Code::kInvalid, "nobody else is here");
}
MachineMemory machine_memory(const std::string&) {
  return {total_memory(), available_memory()};
}

// A simulated process has no userfaultfd, as in many a container.
Result<PageFiller> PageFiller::open() {
  return system_error("cannot have a userfaultfd", EPERM);
}

Status PageFiller::begin(std::byte*, uint64_t) {
  return system_error("cannot watch pages", EPERM);
}

void PageFiller::end(std::byte*, uint64_t) {}

bool PageFiller::fill(std::byte*, const std::byte*, uint64_t) const {
  return false;
}

}  // namespace bolide::os

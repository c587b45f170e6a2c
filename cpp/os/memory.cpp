// The system calls of os/memory.h.
#include "os/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/fault.h"
#include "os/cgroup.h"
#include "os/needed_call.h"

// Known to the kernels we run on but not to the oldest headers we build with.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace bolide::os {

Result<Fd> create_memfd(const char* name, uint64_t size) {
  std::string full = std::string("bolide-") + name;
  std::string what =
      "cannot create shared memory " + full + " of " + std::to_string(size) + " bytes";
  if (size > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    return Status(Code::kInvalid, what + ": the size is beyond what a file can have");
  }
  if (BOLIDE_FAULT_FAIL("memfd.create")) return system_error(what, EMFILE);
  Fd fd(::memfd_create(full.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) {  // before Linux 6.3
    fd.reset(::memfd_create(full.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!fd.valid()) return needed_call_failed(what, "memfd_create", errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return system_error(what, errno);
  return fd;
}

Status seal_future_write(const Fd& memfd) {
  if (BOLIDE_FAULT_FAIL("memfd.seal")) return system_error("cannot seal shared memory", EPERM);
  constexpr int kSeals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  if (::fcntl(memfd.get(), F_ADD_SEALS, kSeals) != 0) {
    return system_error("cannot seal shared memory", errno);
  }
  return Status();
}

Result<int> seals(const Fd& memfd) {
  int bits = ::fcntl(memfd.get(), F_GET_SEALS);
  if (bits < 0)
    return system_error("cannot read the seals of descriptor " + std::to_string(memfd.get()),
                        errno);
  return bits;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      span_(std::exchange(other.span_, 0)),
      reserve_(std::exchange(other.reserve_, nullptr)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    span_ = std::exchange(other.span_, 0);
    reserve_ = std::exchange(other.reserve_, nullptr);
  }
  return *this;
}

Result<Mapping> Mapping::map(const Fd& fd, uint64_t size, Access access) {
  std::string what = "cannot map " + std::to_string(size) + " bytes of shared memory";
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(what, errno);
  if (size == 0 || size > static_cast<uint64_t>(info.st_size)) {
    return Status(Code::kInvalid,
                  what + ": the file has " + std::to_string(info.st_size) + " bytes");
  }
  if (BOLIDE_FAULT_FAIL("memory.map")) return system_error(what, ENOMEM);
  bool writable = access == Access::kReadWrite;
  void* address =
      ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return system_error(what, errno);
  Mapping mapping(static_cast<std::byte*>(address), size, size);
  if (::madvise(address, size, MADV_DONTDUMP) != 0 ||
      (writable && ::madvise(address, size, MADV_DONTFORK) != 0)) {
    return system_error(what, errno);
  }
  return mapping;
}

void Mapping::reset() noexcept {
  if (data_ != nullptr) ::munmap(data_, span_);
  if (reserve_ != nullptr) ::munmap(reserve_, span_);
  data_ = nullptr;
  reserve_ = nullptr;
  size_ = 0;
  span_ = 0;
}

uint64_t total_memory() {
  uint64_t total = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                   static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  std::optional<CgroupMemory> group = cgroup_memory();
  return group ? std::min(total, group->limit) : total;
}

namespace {

// read_meminfo: MemTotal and MemAvailable; UINT64_MAX for what is not there.
MachineMemory read_meminfo(const std::string& path) {
  MachineMemory found{UINT64_MAX, UINT64_MAX};
  std::ifstream file(path);
  std::string key;
  uint64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes && std::getline(file, unit)) {
    if (key == "MemTotal:") found.total = kilobytes * 1024;
    if (key == "MemAvailable:") {
      found.available = kilobytes * 1024;
      break;
    }
  }
  return found;
}

uint64_t read_available_memory() {
  const uint64_t available = read_meminfo("/proc/meminfo").available;
  std::optional<CgroupMemory> group = cgroup_memory();
  return group ? std::min(available, group->room) : available;
}

}  // namespace

uint64_t available_memory() {
  static std::atomic<uint64_t> last{0};
  static std::atomic<Nanos> read_at{INT64_MIN / 2};
  const Nanos time = now();
  if (time - read_at.load(std::memory_order_acquire) < kMemoryHolds) {  // partner: below
    return last.load(std::memory_order_relaxed);                        // published by read_at
  }
  const uint64_t available = read_available_memory();
  last.store(available, std::memory_order_relaxed);
  read_at.store(time, std::memory_order_release);
  return available;
}

Result<Fd> open_memfd_of(int pid, int fd) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  char target[8] = {};
  if (::readlink(path.c_str(), target, sizeof target) != sizeof target ||
      std::string_view(target, sizeof target) != "/memfd:b") {
    return Status(Code::kInvalid, path + " is no memfd of bolide");
  }
  Fd memfd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!memfd.valid()) return system_error("opening " + path, errno);
  return memfd;
}

MachineMemory machine_memory(const std::string& meminfo) {
  if (!meminfo.empty()) return read_meminfo(meminfo);
  static const uint64_t total = total_memory();
  return {total, available_memory()};
}

}  // namespace bolide::os

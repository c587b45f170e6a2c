// Memfds, seals and mappings: what each seal forbids, what a forked child and a core dump see, and
// the sentences of what fails.
#include "os/memory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "support/faults.h"
#include "support/files.h"
#include "support/forked.h"

using namespace bolide;
using os::Access;
using os::Fd;
using os::Mapping;

namespace {

constexpr uint64_t kSize = 64 * 1024;

Fd new_memfd(uint64_t size = kSize) {
  Result<Fd> fd = os::create_memfd("test", size);
  REQUIRE(fd.is_ok());
  return fd.take();
}

Mapping map(const Fd& fd, Access access, uint64_t size = kSize) {
  Result<Mapping> mapping = Mapping::map(fd, size, access);
  REQUIRE(mapping.is_ok());
  return mapping.take();
}

bool is_mapped(const void* address) {
  unsigned char resident = 0;
  return ::mincore(const_cast<void*>(address), 1, &resident) == 0;
}

}  // namespace

TEST_CASE("a memfd has a readable name, its size, zeros, and is close-on-exec") {
  Fd fd = new_memfd();
  std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  CHECK(std::filesystem::read_symlink(link).string() == "/memfd:bolide-test (deleted)");
  struct stat info {};
  REQUIRE(::fstat(fd.get(), &info) == 0);
  CHECK(info.st_size == kSize);
  CHECK(info.st_blocks == 0);  // nothing touched yet
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  Mapping mapping = map(fd, Access::kRead);
  CHECK(std::all_of(mapping.data(), mapping.data() + kSize,
                    [](std::byte each) { return each == std::byte{0}; }));
}

TEST_CASE("a memfd that cannot be says why") {
  CHECK(os::create_memfd("x", UINT64_MAX).status().message() ==
        "cannot create shared memory bolide-x of 18446744073709551615 bytes: the size is beyond "
        "what a file can have");
  CHECK(os::create_memfd(std::string(300, 'n').c_str(), 1).status().err() == EINVAL);
}

TEST_CASE("what is written through one mapping is read through another") {
  Fd fd = new_memfd();
  Mapping writer = map(fd, Access::kReadWrite);
  Mapping reader = map(fd, Access::kRead);
  std::memcpy(writer.data() + 100, "bolide", 6);
  CHECK(std::memcmp(reader.data() + 100, "bolide", 6) == 0);
  CHECK(reader.size() == kSize);
  CHECK(reader.valid());
}

TEST_CASE("a sealed memfd cannot be mapped writable, written, shrunk or grown") {
  Fd fd = new_memfd();
  Mapping writer = map(fd, Access::kReadWrite);
  REQUIRE(os::seal_future_write(fd).is_ok());

  Result<int> seals = os::seals(fd);
  REQUIRE(seals.is_ok());
  constexpr int kExpected = 0x0010 | F_SEAL_SHRINK | F_SEAL_GROW;
  CHECK((*seals & kExpected) == kExpected);

  Result<Mapping> second = Mapping::map(fd, kSize, Access::kReadWrite);
  REQUIRE_FALSE(second.is_ok());
  CHECK(second.status().err() == EPERM);
  CHECK(second.status().message() ==
        "cannot map 65536 bytes of shared memory: Operation not permitted (errno 1)");
  CHECK((::ftruncate(fd.get(), 0) == -1 && errno == EPERM));
  CHECK((::ftruncate(fd.get(), 2 * kSize) == -1 && errno == EPERM));
  CHECK((::pwrite(fd.get(), "x", 1, 0) == -1 && errno == EPERM));

  std::memcpy(writer.data(), "still", 5);  // the writer's own mapping goes on
  Mapping reader = map(fd, Access::kRead);
  CHECK(std::memcmp(reader.data(), "still", 5) == 0);
  CHECK((::mprotect(reader.data(), kSize, PROT_READ | PROT_WRITE) == -1 && errno == EACCES));
  CHECK(os::seal_future_write(fd).is_ok());  // sealing again changes nothing
}

TEST_CASE("only a memfd can be sealed") {
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK(os::seal_future_write(null).message() ==
        "cannot seal shared memory: Invalid argument (errno 22)");
  CHECK(os::seals(null).status().err() == EINVAL);
}

TEST_CASE("a forked child has the readable mappings and not the writable ones") {
  Fd fd = new_memfd();
  Mapping writer = map(fd, Access::kReadWrite);
  Mapping reader = map(fd, Access::kRead);
  CHECK(is_mapped(writer.data()));
  support::Ended ended = support::forked(
      [&] { return is_mapped(reader.data()) && !is_mapped(writer.data()) ? 0 : 1; });
  CHECK(ended.exited(0));
}

TEST_CASE("no mapping goes into a core dump") {
  Fd fd = new_memfd();
  Mapping writer = map(fd, Access::kReadWrite);
  Mapping reader = map(fd, Access::kRead);
  CHECK(support::vm_flags(writer.data()).find(" dd ") != std::string::npos);
  CHECK(support::vm_flags(writer.data()).find(" dc ") != std::string::npos);
  CHECK(support::vm_flags(reader.data()).find(" dd ") != std::string::npos);
  CHECK(support::vm_flags(reader.data()).find(" dc ") == std::string::npos);
}

TEST_CASE("a mapping that is left can be read there and written elsewhere") {
  for (const uint64_t size : {kSize, uint64_t{5} << 20, uint64_t{40} << 20}) {
    Fd fd = new_memfd(size);
    Mapping mapping = map(fd, Access::kReadWrite, size);
    mapping.data()[0] = std::byte{7};
    mapping.data()[size - 1] = std::byte{8};
    REQUIRE(os::seal_future_write(fd).is_ok());  // as every chunk is
    REQUIRE(mapping.settle().is_ok());
    std::byte* const place = mapping.data();
    CHECK(place[0] == std::byte{7});
    place[1] = std::byte{9};

    Result<Mapping> left = mapping.leave();
    REQUIRE(left.is_ok());
    CHECK(left->data() == place);
    CHECK(left->size() == size);
    CHECK(mapping.data() != place);
    CHECK(place[1] == std::byte{9});
    CHECK(place[size - 1] == std::byte{8});
    const std::string flags = support::vm_flags(place);
    CHECK(flags.find(" rd ") != std::string::npos);
    CHECK(flags.find(" wr ") == std::string::npos);
    CHECK(support::vm_flags(mapping.data()).find(" dc ") != std::string::npos);  // not inherited

    mapping.data()[2] = std::byte{10};  // the same pages
    CHECK(place[2] == std::byte{10});
    CHECK(support::forked([&] { return place[1] == std::byte{9} ? 0 : 1; }).exited(0));
    CHECK(support::forked([&] {
            *const_cast<volatile std::byte*>(place) = std::byte{1};
            return 0;
          }).killed(SIGSEGV));
    CHECK(place[0] == std::byte{7});
  }
}

TEST_CASE("a mapping can be left again and again") {
  Fd fd = new_memfd();
  Mapping mapping = map(fd, Access::kReadWrite);
  REQUIRE(os::seal_future_write(fd).is_ok());
  for (int round = 0; round < 3; ++round) {
    REQUIRE(mapping.settle().is_ok());
    std::byte* const place = mapping.data();
    place[0] = std::byte(round);
    Result<Mapping> left = mapping.leave();
    REQUIRE(left.is_ok());
    CHECK(left->data()[0] == std::byte(round));
    left->reset();
    CHECK_FALSE(is_mapped(place));
  }
  CHECK(mapping.data()[0] == std::byte{2});
}

TEST_CASE("a private copy takes the place of what a forked child lacks") {
  Fd fd = new_memfd();
  Mapping mapping = map(fd, Access::kReadWrite);
  mapping.data()[5] = std::byte{5};
  Result<Mapping> copy = Mapping::private_copy(mapping.data(), kSize);
  REQUIRE(copy.is_ok());
  mapping.data()[5] = std::byte{6};  // after the copy
  support::Ended ended = support::forked([&] {
    if (!copy->move_to(mapping.data()).is_ok()) return 1;
    if (mapping.data()[5] != std::byte{5}) return 2;
    mapping.data()[5] = std::byte{7};
    return 0;
  });
  CHECK(ended.exited(0));
  CHECK(mapping.data()[5] == std::byte{6});
}

TEST_CASE("a mapping must lie within its file") {
  Fd fd = new_memfd();
  CHECK(Mapping::map(fd, kSize + 1, Access::kRead).status().message() ==
        "cannot map 65537 bytes of shared memory: the file has 65536 bytes");
  CHECK(Mapping::map(fd, 0, Access::kRead).status().code() == Code::kInvalid);
  CHECK(Mapping::map(Fd(), kSize, Access::kRead).status().err() == EBADF);
}

TEST_CASE("a mapping larger than the address space is refused") {
  Fd fd = new_memfd(uint64_t{1} << 62);
  CHECK(Mapping::map(fd, uint64_t{1} << 62, Access::kRead).status().err() == ENOMEM);
}

TEST_CASE("a mapping moves and unmaps once") {
  Fd fd = new_memfd();
  Mapping first = map(fd, Access::kReadWrite);
  std::byte* address = first.data();
  Mapping second = std::move(first);
  CHECK(second.data() == address);
  CHECK_FALSE(first.valid());
  CHECK(first.size() == 0);
  Mapping third = map(fd, Access::kRead);
  std::byte* old = third.data();
  third = std::move(second);
  CHECK(third.data() == address);
  CHECK_FALSE(is_mapped(old));
  Mapping& same = third;
  third = std::move(same);
  CHECK(third.data() == address);
  third.reset();
  CHECK_FALSE(is_mapped(address));
  third.reset();
  CHECK(third.size() == 0);
}

TEST_CASE("available memory is some part of the total") {
  uint64_t total = os::total_memory();
  uint64_t available = os::available_memory();
  CHECK(total > (uint64_t{64} << 20));
  CHECK(available > 0);
  CHECK(available <= total);
}

TEST_CASE("a memfd of another process is opened by its number there, and nothing else is") {
  const Fd fd = new_memfd();
  const int pid = ::getpid();
  auto same = os::open_memfd_of(pid, fd.get());
  REQUIRE(same.is_ok());
  CHECK(::pwrite(same->get(), "text", 4, 0) == 4);
  char text[4];
  CHECK(::pread(fd.get(), text, 4, 0) == 4);
  CHECK(std::memcmp(text, "text", 4) == 0);
  const Fd other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK(os::open_memfd_of(pid, other.get()).status().code() == Code::kInvalid);
  CHECK(os::open_memfd_of(pid, 12345).status().code() == Code::kInvalid);
  CHECK(os::open_memfd_of(-1, 3).status().code() == Code::kInvalid);
}

TEST_CASE("a file in the form of /proc/meminfo may tell the memory of the machine") {
  support::TemporaryFolder folder;
  const std::string path = folder.path() + "/meminfo";
  std::ofstream(path) << "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:  512 kB\nHuge: 3\n";
  const os::MachineMemory told = os::machine_memory(path);
  CHECK(told.total == uint64_t{2} << 20);
  CHECK(told.available == uint64_t{512} << 10);
  const os::MachineMemory real = os::machine_memory();
  CHECK(real.total == os::total_memory());
  CHECK(real.available <= real.total);
  CHECK(os::machine_memory(path + "-none").available == UINT64_MAX);
}

#ifdef BOLIDE_FAULTS
TEST_CASE("each call that can fail has a fault point") {
  Fd fd = new_memfd();
  Mapping mapping = map(fd, Access::kReadWrite);
  std::byte* const place = mapping.data();
  support::FaultPlan plan(
      "memfd.create=fail;memfd.seal=fail;memory.map=fail;memory.settle=fail@1;memory.leave=fail");
  CHECK(os::create_memfd("x", 1).status().message() ==
        "cannot create shared memory bolide-x of 1 bytes: Too many open files (errno 24)");
  CHECK(os::seal_future_write(fd).err() == EPERM);
  CHECK(Mapping::map(fd, kSize, Access::kRead).status().err() == ENOMEM);
  CHECK(mapping.settle().message() ==
        "cannot find address space for 65536 bytes of shared memory: Cannot allocate memory "
        "(errno 12)");
  CHECK(mapping.data() == place);
  CHECK(mapping.leave().status().message() ==
        "cannot make shared memory read-only: Cannot allocate memory (errno 12)");
  mapping.data()[0] = std::byte{1};  // it can still be written
}
#endif

// Tests of copy_crew.h and stream_copy.h: every byte arrives and no other is touched; comparisons
// see every byte.
#include "store/copy_crew.h"

#include <cstring>
#include <thread>
#include <vector>

#include "store/stream_copy.h"
#include "store_testing.h"
#include "support/faults.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

namespace {

// Bytes of which no two blocks of a copy are alike; made once, it takes long under sanitizers.
const std::byte* pattern(uint64_t size) {
  static std::vector<std::byte> bytes;
  for (uint64_t i = bytes.size(); i < size; ++i) {
    bytes.push_back(std::byte((i * 0x9e3779b97f4a7c15u) >> 56));
  }
  return bytes.data();
}

// Copies `size` bytes to and from odd places and looks at what lies around them too.
template <class Copy>
void check_copy(uint64_t size, uint64_t to_at, uint64_t from_at, Copy copy) {
  CAPTURE(size);
  CAPTURE(to_at);
  const std::byte* from = pattern(from_at + size) + from_at;
  std::vector<std::byte> to(to_at + size + 100, std::byte{0xee});
  const std::vector<std::byte> untouched(100 + to_at, std::byte{0xee});
  copy(to.data() + to_at, from, size);
  CHECK(std::memcmp(to.data() + to_at, from, size) == 0);
  CHECK(std::memcmp(to.data(), untouched.data(), to_at) == 0);
  CHECK(std::memcmp(to.data() + to_at + size, untouched.data(), 100) == 0);
}

}  // namespace

TEST_CASE("stream copy: odd sizes and places") {
  for (uint64_t size : {0, 1, 63, 64, 65, 127, 128, 200, 4096, 5000}) {
    for (uint64_t to_at : {0, 1, 17, 63, 64}) check_copy(size, to_at, 3, stream_copy);
  }
}

TEST_CASE("copy crew: odd sizes, places and numbers of threads") {
  const uint64_t sizes[] = {0,
                            1,
                            4097,
                            kCrewFrom - 1,
                            kCrewFrom,
                            kCrewFrom + 1,
                            kCrewFrom + 64 * kKiB - 1,
                            8 * kMiB + 1,
                            9'999'999,
                            kStreamCopyFrom - 1,
                            kStreamCopyFrom + 12'345};
  for (int threads : {0, 1, 2, 3, 100}) {
    CopyCrew crew(threads);
    for (uint64_t size : sizes) {
      check_copy(size, size % 101, 5, [&](std::byte* to, const std::byte* from, uint64_t n) {
        crew.copy(to, from, n);
      });
    }
  }
}

TEST_CASE("copy crew: nothing to copy, from nowhere") {
  CopyCrew crew(2);
  crew.copy(nullptr, nullptr, 0);
  CHECK(crew.equal(nullptr, nullptr, 0));
}

TEST_CASE("copy crew: one byte that differs is seen wherever it is") {
  CopyCrew crew(2);
  for (uint64_t size : {uint64_t{1}, uint64_t{1000}, kCrewFrom, kCrewFrom + 70'001}) {
    const std::byte* from = pattern(size);
    std::vector<std::byte> other(from, from + size);
    CHECK(crew.equal(other.data(), from, size));
    for (uint64_t at : {uint64_t{0}, size / 3, size / 2, size - 1}) {
      other[at] ^= std::byte{1};
      CHECK_FALSE(crew.equal(other.data(), from, size));
      CHECK_FALSE(crew.equal(from, other.data(), size));
      other[at] ^= std::byte{1};
    }
  }
}

TEST_CASE("copy crew: short jobs one after the other") {
  // Helpers come late to most of them, and find another job than they were woken for.
  CopyCrew crew(3);
  const std::byte* from = pattern(kCrewFrom + 4096);
  std::vector<std::byte> to(kCrewFrom + 4096);
  for (uint64_t i = 0; i < 300; ++i) {
    const uint64_t size = kCrewFrom + (i * 37) % 4096;
    std::memset(to.data(), 0, 64);
    to[size - 1] = std::byte{0};
    crew.copy(to.data(), from, size);
    REQUIRE(std::memcmp(to.data(), from, size) == 0);
  }
}

TEST_CASE("copy crew: jobs of several threads at a time") {
  CopyCrew crew(2);
  const std::byte* from = pattern(2 * kCrewFrom);
  const auto copy_some = [&](uint64_t shift) {
    std::vector<std::byte> to(kCrewFrom);
    bool right = true;
    for (uint64_t i = 0; i < 20; ++i) {
      const std::byte* source = from + shift + i;
      crew.copy(to.data(), source, kCrewFrom);
      right = right && std::memcmp(to.data(), source, kCrewFrom) == 0;
    }
    return right;
  };
  bool first = false;
  std::thread other([&] { first = copy_some(1000); });
  const bool second = copy_some(7);
  other.join();
  CHECK(first);
  CHECK(second);
}

TEST_CASE("copy crew: after stop the caller works alone, and stop may come again") {
  CopyCrew crew(2);
  const auto copy = [&](std::byte* to, const std::byte* from, uint64_t n) { crew.copy(to, from, n); };
  check_copy(kCrewFrom, 0, 0, copy);
  crew.stop();
  check_copy(kCrewFrom, 0, 0, copy);
  crew.stop();
  CopyCrew unused(2);
  unused.stop();
  check_copy(kCrewFrom, 1, 0, [&](std::byte* to, const std::byte* from, uint64_t n) {
    unused.copy(to, from, n);
  });
}

#ifdef BOLIDE_FAULTS
TEST_CASE("copy crew: without a page filler, or with one that fails, fresh memory is written") {
  for (const char* plan : {"page_filler.open=fail", "page_filler.fill=fail@2"}) {
    const support::FaultPlan faults(plan);
    CopyCrew crew(2);
    const uint64_t size = 2 * kCrewFrom;
    const os::Fd memfd = os::create_memfd("test", size).take();
    const os::Mapping memory = os::Mapping::map(memfd, size, os::Access::kReadWrite).take();
    crew.copy_to_fresh(memory.data(), pattern(size), size);
    CHECK(std::memcmp(memory.data(), pattern(size), size) == 0);
  }
}

TEST_CASE("copy crew: threads that cannot be started are not missed") {
  for (const char* plan : {"thread.start=fail", "thread.start=fail@2"}) {
    const support::FaultPlan faults(plan);
    CopyCrew crew(3);
    check_copy(5'000'000, 1, 1, [&](std::byte* to, const std::byte* from, uint64_t n) {
      crew.copy(to, from, n);
    });
  }
}
#endif

TEST_CASE("copy crew: into memory that was never touched") {
  CopyCrew crew(2);
  for (uint64_t size : {uint64_t{100}, kCrewFrom - 1, kCrewFrom, kCrewFrom + 4097, 9'999'999ul}) {
    for (uint64_t to_at : {uint64_t{0}, uint64_t{64}, uint64_t{5000}}) {
      CAPTURE(size);
      CAPTURE(to_at);
      const uint64_t mapped = page_round(to_at + size + 1);
      const os::Fd memfd = os::create_memfd("test", mapped).take();
      const os::Mapping memory = os::Mapping::map(memfd, mapped, os::Access::kReadWrite).take();
      const std::byte* from = pattern(size + 3) + 3;
      crew.copy_to_fresh(memory.data() + to_at, from, size);
      CHECK(std::memcmp(memory.data() + to_at, from, size) == 0);
      CHECK(memory.data()[to_at + size] == std::byte{0});
      if (to_at != 0) CHECK(memory.data()[to_at - 1] == std::byte{0});
    }
  }
}

TEST_CASE("copy crew: memory that was touched after all, or that is no memfd's") {
  CopyCrew crew(2);
  const uint64_t size = 2 * kCrewFrom;
  const os::Fd memfd = os::create_memfd("test", size).take();
  const os::Mapping memory = os::Mapping::map(memfd, size, os::Access::kReadWrite).take();
  memory.data()[size / 2] = std::byte{1};
  crew.copy_to_fresh(memory.data(), pattern(size), size);
  CHECK(std::memcmp(memory.data(), pattern(size), size) == 0);
  check_copy(size, 7, 5, [&](std::byte* to, const std::byte* from, uint64_t n) {
    crew.copy_to_fresh(to, from, n);
  });
}

TEST_CASE("copy crew: after stop fresh memory is written by the caller alone") {
  CopyCrew crew(2);
  crew.stop();
  check_copy(kCrewFrom, 0, 0, [&](std::byte* to, const std::byte* from, uint64_t n) {
    crew.copy_to_fresh(to, from, n);
  });
}

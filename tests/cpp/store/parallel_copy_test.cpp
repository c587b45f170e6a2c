// Tests of parallel_copy.h and stream_copy.h: every byte arrives and no other is touched.
#include "store/parallel_copy.h"

#include <cstring>
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

TEST_CASE("parallel copy: odd sizes, places and numbers of threads") {
  const uint64_t sizes[] = {0,
                            1,
                            4097,
                            kParallelCopyFrom - 1,
                            kParallelCopyFrom,
                            kParallelCopyFrom + 1,
                            kParallelCopyFrom + 256 * kKiB - 1,
                            9'999'999,
                            kStreamCopyFrom - 1,
                            kStreamCopyFrom + 12'345};
  for (uint64_t size : sizes) {
    for (int threads : {-1, 1, 2, 3}) {
      const uint64_t to_at = size % 101;
      check_copy(size, to_at, 5, [threads](std::byte* to, const std::byte* from, uint64_t n) {
        parallel_copy(to, from, n, threads);
      });
    }
  }
}

TEST_CASE("parallel copy: more threads than blocks") {
  check_copy(kParallelCopyFrom, 0, 0, [](std::byte* to, const std::byte* from, uint64_t n) {
    parallel_copy(to, from, n, 100);
  });
}

TEST_CASE("parallel copy: nothing to copy, from nowhere") {
  parallel_copy(nullptr, nullptr, 0, 2);
}

#ifdef BOLIDE_FAULTS
TEST_CASE("parallel copy: threads that cannot be started are not missed") {
  for (const char* plan : {"thread.start=fail", "thread.start=fail@2"}) {
    const support::FaultPlan faults(plan);
    check_copy(5'000'000, 1, 1, [](std::byte* to, const std::byte* from, uint64_t n) {
      parallel_copy(to, from, n, 3);
    });
  }
}
#endif

#include "store/parallel_copy.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "os/thread.h"
#include "store/sizes.h"
#include "store/stream_copy.h"

namespace bolide::store {

namespace {

constexpr uint64_t kBlock = 256 * kKiB;

// A copy in blocks that any number of threads take in turn, so that a thread that starts late or
// loses its core does less and nobody waits for it. All blocks but the first begin at a page of
// the target: no two threads touch the same page.
class BlockCopy {
 public:
  BlockCopy(std::byte* to, const std::byte* from, uint64_t size)
      : to_(to),
        from_(from),
        size_(size),
        head_((kPage - reinterpret_cast<uintptr_t>(to) % kPage) % kPage) {}

  // The head goes with the first block; parallel_copy sees to it that there is one.
  uint64_t blocks() const { return (size_ - head_ + kBlock - 1) / kBlock; }

  void run() {
    // relaxed: the number alone matters; the bytes are published by joining the thread.
    for (uint64_t i = next_.fetch_add(1, std::memory_order_relaxed); i < blocks();
         i = next_.fetch_add(1, std::memory_order_relaxed)) {
      const uint64_t begin = i == 0 ? 0 : head_ + i * kBlock;
      const uint64_t end = std::min(size_, head_ + (i + 1) * kBlock);
      if (size_ < kStreamCopyFrom) {
        std::memcpy(to_ + begin, from_ + begin, end - begin);
      } else {
        stream_copy(to_ + begin, from_ + begin, end - begin);
      }
    }
  }

 private:
  std::byte* const to_;
  const std::byte* const from_;
  const uint64_t size_;
  const uint64_t head_;  // bytes before the first page boundary of the target
  std::atomic<uint64_t> next_{0};
};

}  // namespace

void parallel_copy(std::byte* to, const std::byte* from, uint64_t size, int threads) {
  if (size < kParallelCopyFrom) {
    if (size != 0) std::memcpy(to, from, size);
    return;
  }
  BlockCopy copy(to, from, size);
  std::vector<os::Thread> helpers;
  for (int i = 1; i < threads && static_cast<uint64_t>(i) < copy.blocks(); ++i) {
    auto helper = os::start_thread("bolide-copy", [&copy] { copy.run(); });
    if (!helper.is_ok()) break;
    helpers.push_back(helper.take());
  }
  copy.run();
  for (os::Thread& helper : helpers) helper.join();
}

}  // namespace bolide::store

// copy_crew: memcpy and memcmp of large memory with more than one thread where that pays.
//
// Memory that was never touched is filled by the kernel where it lets us (os/page_filler.h).
//
// The helpers are started by the first large job and stay, since starting a thread costs as much as
// copying 1 MiB. They sleep between jobs. A job is cut into blocks that all threads take in turn, so
// that a helper that comes late or loses its core does less and nobody waits for it longer than for
// one block. When jobs follow each other within 100 us, helpers spin in between: waking a thread
// takes some 5 to 50 us, in which half of a small job could be done. A helper that sleeps is kept
// off its caller's core first: a kernel that takes an idle virtual core for a busy one would wake it
// there, and it would wait until the caller has done all the work.
//
//   caller                               helper
//   fields of the job; finished = 0      signal changes: wake
//   position = (job, block 0)            take: position (job, n) -> (job, n + 1)
//   signal += 1; wake sleepers           copy block n; finished += 1
//   take and copy blocks
//   wait until finished == blocks
//
// A helper that is late reads fields of another job; then position has changed too, and taking a
// block fails. Thread safety: any thread may call; a second job at the same time is done by its
// caller alone. In a forked child there are no helpers, and the caller does everything.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "os/page_filler.h"
#include "os/thread.h"

namespace bolide::store {

inline constexpr uint64_t kCrewFrom = uint64_t{1} << 20;         // bytes of a job for more than one thread
inline constexpr uint64_t kStreamCopyFrom = uint64_t{16} << 20;  // half a last-level cache

class BOLIDE_API CopyCrew {
 public:
  // `threads` work at a time, the caller's among them; 0: as many as there are usable cores, up to
  // kMostThreads.
  explicit CopyCrew(int threads = 0) : threads_(threads) {}
  ~CopyCrew() { stop(); }
  CopyCrew(const CopyCrew&) = delete;
  CopyCrew& operator=(const CopyCrew&) = delete;

  void copy(std::byte* to, const std::byte* from, uint64_t size);
  // copy_to_fresh is copy into memory of a memfd that nobody has touched.
  void copy_to_fresh(std::byte* to, const std::byte* from, uint64_t size);
  bool equal(const std::byte* a, const std::byte* b, uint64_t size);

  // stop ends the helpers. Later jobs are done by their callers alone.
  void stop();

 private:
  static constexpr int kMostThreads = 8;  // more do not pay: memory has no room for them
  static constexpr Nanos kSpin = 100 * kMicrosecond;

  static constexpr uint64_t kClosed = UINT32_MAX;  // as the next block: none

  enum class Work : uint8_t { kCopy, kFill, kCompare };

  bool can_fill() REQUIRES(mutex_);
  bool fill(std::byte* to, const std::byte* from, uint64_t size) REQUIRES(mutex_);
  // run returns holds_.
  bool run(Work work, std::byte* to, const std::byte* from, uint64_t size) REQUIRES(mutex_);
  void wake_helpers() REQUIRES(mutex_);
  void start_helpers() REQUIRES(mutex_);
  void help();
  void work_on_blocks();
  void await_helpers(uint32_t blocks);

  const int threads_;
  Mutex mutex_;  // held by the thread whose job it is
  std::vector<os::Thread> helpers_ GUARDED_BY(mutex_);
  bool started_ GUARDED_BY(mutex_) = false;
  uint32_t job_ GUARDED_BY(mutex_) = 0;
  int avoided_core_ GUARDED_BY(mutex_) = -1;  // no helper runs there
  bool filler_wanted_ GUARDED_BY(mutex_) = true;  // not asked for yet

  // The job. Written by its caller while no block can be taken; relaxed, since position_ publishes
  // it.
  std::atomic<Work> work_{Work::kCopy};
  std::atomic<std::byte*> to_{nullptr};
  std::atomic<const std::byte*> from_{nullptr};
  std::atomic<uint64_t> size_{0};
  std::atomic<uint64_t> head_{0};   // bytes before the first page boundary of the target
  std::atomic<uint64_t> block_{1};  // bytes of a block
  std::atomic<uint32_t> blocks_{0};
  std::atomic<bool> holds_{true};   // that all are equal, that all could be filled
  os::PageFiller filler_;           // written between jobs

  std::atomic<uint64_t> position_{kClosed};  // [job:32][next block:32]
  std::atomic<uint32_t> finished_{0};  // blocks; the caller's futex word
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<uint32_t> signal_{0};  // the helpers' futex word
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace bolide::store

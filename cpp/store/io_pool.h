// io_pool: a few native threads for what must not be done under the node's lock: copying objects
// from one place to another, writing them to disk and reading them back.
//
// Not a scheduler: what is submitted is begun in the order of submission, by whichever thread is
// free. No thread exists before the first submission; then they sleep until the next.
//
// Thread safety: every method from any thread, stop() without any lock that the work takes.
// Invariant: everything that was submitted is called exactly once; after stop() has begun with
// `cancelled` set.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "base/api.h"
#include "base/mutex.h"
#include "base/status.h"
#include "os/thread.h"

namespace bolide::store {

class BOLIDE_API IoPool {
 public:
  using Work = std::function<void(bool cancelled)>;

  explicit IoPool(int threads) : most_(static_cast<size_t>(threads)) {}
  ~IoPool() { stop(); }
  IoPool(const IoPool&) = delete;
  IoPool& operator=(const IoPool&) = delete;

  // submit fails, and does not take the work, when there is no thread and none can be started, or
  // after stop.
  Status submit(Work work) EXCLUDES(mutex_);

  // stop waits for what has begun, has the rest called as cancelled, and ends the threads.
  void stop() EXCLUDES(mutex_);

  // abandon forgets the threads, in a forked child, where they do not exist.
  void abandon();

 private:
  void run();

  const size_t most_;
  Mutex mutex_;
  std::deque<Work> queue_ GUARDED_BY(mutex_);
  std::vector<os::Thread> threads_ GUARDED_BY(mutex_);
  size_t idle_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::atomic<uint32_t> signal_{0};  // futex word of the idle threads, raised with every change
};

}  // namespace bolide::store

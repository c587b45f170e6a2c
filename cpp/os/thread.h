// start_thread: a native thread for the library's own work, invisible to the user's program.
//
// All signals are blocked in it, so that handlers run where the user expects them. Its stack is
// small and of a stated size, since defaults differ between C libraries (musl: 128 KiB). It never
// runs Python.
//
// Thread safety: a Thread handle belongs to one thread at a time.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

#include "base/api.h"
#include "base/status.h"

namespace bolide::os {

inline constexpr size_t kThreadStackBytes = 256 * 1024;

class BOLIDE_API Thread {
 public:
  Thread() noexcept = default;
  ~Thread() { join(); }
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  bool joinable() const noexcept { return joinable_; }

  // Waits for the end of the thread; nothing to do when there is none.
  void join() noexcept;

  // keep_off lets the thread run on the cores of the calling thread but for one; on any of them
  // when there is no other. It is only advice: nothing happens when the system refuses.
  void keep_off(int core) const noexcept;

  // Forgets the thread without waiting. In a forked child only: there it does not exist.
  void abandon() noexcept { joinable_ = false; }

 private:
  friend BOLIDE_API Result<Thread> start_thread(const char* name, std::function<void()> body,
                                                size_t stack_bytes);
  pthread_t handle_{};
  bool joinable_ = false;
};

// `name` shows in ps and gdb, cut to 15 characters.
BOLIDE_API Result<Thread> start_thread(const char* name, std::function<void()> body,
                                       size_t stack_bytes = kThreadStackBytes);

}  // namespace bolide::os

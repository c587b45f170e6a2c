// Mutex and MutexLock: a std::mutex that clang's -Wthread-safety can reason about.
//
// For threads of one process only: nothing that another process can see is ever locked. A member
// that a mutex guards says GUARDED_BY(mutex_), a private method that expects it held says
// REQUIRES(mutex_), a public one that takes it says EXCLUDES(mutex_). With gcc the marks vanish.
//
// Fault points: "mutex.lock" before the lock is taken, "mutex.unlock" after it is open again.
//
// Thread safety: as std::mutex; not recursive. A forked child must not touch a mutex of its parent.
#pragma once

#include <mutex>

#include "base/fault.h"

#if defined(__clang__)
#define BOLIDE_THREAD_MARK(x) __attribute__((x))
#else
#define BOLIDE_THREAD_MARK(x)
#endif

#define CAPABILITY(name) BOLIDE_THREAD_MARK(capability(name))
#define SCOPED_CAPABILITY BOLIDE_THREAD_MARK(scoped_lockable)
#define GUARDED_BY(mutex) BOLIDE_THREAD_MARK(guarded_by(mutex))
#define PT_GUARDED_BY(mutex) BOLIDE_THREAD_MARK(pt_guarded_by(mutex))
#define REQUIRES(...) BOLIDE_THREAD_MARK(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) BOLIDE_THREAD_MARK(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) BOLIDE_THREAD_MARK(acquire_capability(__VA_ARGS__))
#define RELEASE(...) BOLIDE_THREAD_MARK(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) BOLIDE_THREAD_MARK(try_acquire_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(x) BOLIDE_THREAD_MARK(lock_returned(x))
#define NO_THREAD_SAFETY_ANALYSIS BOLIDE_THREAD_MARK(no_thread_safety_analysis)

namespace bolide {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() {
    BOLIDE_FAULT_AT("mutex.lock");
    mutex_.lock();
  }
  void unlock() RELEASE() {
    mutex_.unlock();
    BOLIDE_FAULT_AT("mutex.unlock");
  }
  bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope. May be opened in between (unlock ... lock), for instance to sleep.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() RELEASE() {
    held_ = false;
    mutex_.unlock();
  }
  void lock() ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

}  // namespace bolide

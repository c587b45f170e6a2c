// The system calls of os/thread.h.
#include "os/thread.h"

#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/fault.h"

namespace bolide::os {
namespace {

// Instrumented frames are several times as large.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kSmallestStack = 2 * 1024 * 1024;
#else
constexpr size_t kSmallestStack = 64 * 1024;
#endif

struct Start {
  std::string name;
  std::function<void()> body;
};

void* run(void* argument) {
  std::unique_ptr<Start> start(static_cast<Start*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  start->body();
  return nullptr;
}

}  // namespace

Thread::Thread(Thread&& other) noexcept
    : handle_(other.handle_), joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    join();
    handle_ = other.handle_;
    joinable_ = std::exchange(other.joinable_, false);
  }
  return *this;
}

void Thread::join() noexcept {
  if (!std::exchange(joinable_, false)) return;
  int err = pthread_join(handle_, nullptr);
  BOLIDE_CHECK(err == 0, "a thread cannot wait for itself");
}

void Thread::keep_off(int core) const noexcept {
  cpu_set_t cores;
  if (!joinable_ || ::sched_getaffinity(0, sizeof cores, &cores) != 0) return;
  if (core >= 0 && core < CPU_SETSIZE && CPU_COUNT(&cores) > 1) CPU_CLR(core, &cores);
  static_cast<void>(::pthread_setaffinity_np(handle_, sizeof cores, &cores));
}

Result<Thread> start_thread(const char* name, std::function<void()> body, size_t stack_bytes) {
  auto start = std::make_unique<Start>(Start{std::string(name).substr(0, 15), std::move(body)});
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int err = pthread_attr_setstacksize(&attributes, std::max(stack_bytes, kSmallestStack));
  BOLIDE_CHECK(err == 0, "a thread's stack size must be a possible one");

  // The new thread inherits the mask of its maker: blocked here, so that it never has a moment in
  // which a signal could reach it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Thread thread;
  err = BOLIDE_FAULT_FAIL("thread.start")
            ? EAGAIN
            : pthread_create(&thread.handle_, &attributes, run, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (err != 0) return system_error("cannot start thread " + start->name, err);
  start.release();
  thread.joinable_ = true;
  return thread;
}

}  // namespace bolide::os

#include "store/io_pool.h"

#include <climits>
#include <utility>

#include "os/futex.h"

namespace bolide::store {

Status IoPool::submit(Work work) {
  MutexLock lock(mutex_);
  if (stopping_) return Status(Code::kClosed, "the runtime is being shut down");
  if (queue_.size() >= idle_ && threads_.size() < most_) {
    auto thread = os::start_thread("bolide-io", [this] { run(); });
    if (thread.is_ok()) {
      threads_.push_back(thread.take());
    } else if (threads_.empty()) {
      return thread.status();
    }
  }
  queue_.push_back(std::move(work));
  // release: whoever sleeps with the value read before is not let to sleep by the kernel.
  signal_.fetch_add(1, std::memory_order_release);  // partner: run
  os::futex_wake(&signal_, 1);
  return Status();
}

void IoPool::stop() {
  std::vector<os::Thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    signal_.fetch_add(1, std::memory_order_release);  // partner: run
    os::futex_wake(&signal_, INT_MAX);
  }
  for (os::Thread& thread : threads) thread.join();
}

void IoPool::abandon() {
  for (os::Thread& thread : threads_) thread.abandon();
}

void IoPool::run() {
  MutexLock lock(mutex_);
  for (;;) {
    while (queue_.empty() && !stopping_) {
      const uint32_t signal = signal_.load(std::memory_order_acquire);  // partner: submit, stop
      ++idle_;
      lock.unlock();
      os::futex_wait(&signal_, signal, -1);
      lock.lock();
      --idle_;
    }
    if (queue_.empty()) return;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    const bool cancelled = stopping_;
    lock.unlock();
    work(cancelled);
    work = nullptr;  // with what it has captured
    lock.lock();
  }
}

}  // namespace bolide::store

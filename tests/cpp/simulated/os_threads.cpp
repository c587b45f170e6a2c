// os_threads: futexes, poll, threads, cores and fault points of the simulated machine, in place of
// the core's os/futex.cpp, poll.cpp, thread.cpp, cpu.cpp and base/fault.cpp.
#include <cstring>

#include "base/fault.h"
#include "os/cpu.h"
#include "os/event.h"
#include "os/futex.h"
#include "os/thread.h"
#include "simulated/machine.h"

using simulator::Machine;

namespace bolide::os {

Wake futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, Nanos timeout) {
  Machine& machine = Machine::here();
  machine.pass();
  if (word->load() != expected) return Wake::kChanged;
  if (machine.random().one_in(50)) return Wake::kInterrupted;
  return machine.wait_futex(word, timeout) ? Wake::kWoken : Wake::kTimeout;
}

int futex_wake(const std::atomic<uint32_t>* word, int n) {
  return Machine::here().wake_futex(word, n);
}

int poll_fds(pollfd* items, size_t n, Nanos timeout) {
  return Machine::here().poll(items, n, timeout);
}

Thread::Thread(Thread&& other) noexcept
    : handle_(other.handle_), joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  handle_ = other.handle_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

void Thread::join() noexcept {
  if (!std::exchange(joinable_, false)) return;
  Machine::here().join(*reinterpret_cast<simulator::Thread*>(handle_));
}

void Thread::keep_off(int) const noexcept {}

Result<Thread> start_thread(const char* name, std::function<void()> body, size_t) {
  Machine& machine = Machine::here();
  simulator::Thread& made = machine.start_thread(machine.process(), name, std::move(body));
  made.rare = std::strcmp(name, "bolide-owner") == 0;
  Thread thread;
  thread.handle_ = reinterpret_cast<pthread_t>(&made);
  thread.joinable_ = true;
  return thread;
}

int current_core() {
  return 0;
}

int usable_cores() {
  return Machine::here().settings().cores;
}

Result<FdLimit> fd_limit() {
  return FdLimit{1024, 1024};
}
Status raise_fd_limit(uint64_t) {
  return Status();
}
Status restore_fd_limit(const FdLimit&) {
  return Status();
}

}  // namespace bolide::os

namespace bolide::fault {

bool at(const char* point) {
  Machine& machine = Machine::here();
  if (std::strcmp(point, "mutex.lock") == 0) {
    machine.lock();
  } else if (std::strcmp(point, "mutex.unlock") == 0) {
    machine.unlock();
  } else {
    machine.pass();
    if (std::strcmp(point, "socket.send") == 0) {
      return machine.random().per_mille(machine.settings().blocked_sends_per_mille);
    }
  }
  return false;
}

}  // namespace bolide::fault

// machine_calls: what the operating system does for a simulated thread, and telling about it.
#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "simulated/machine.h"

namespace simulator {
namespace {

constexpr uint64_t kLongestLook = 500;  // ns at the clock: spinning then takes fewer steps

Nanos deadline(Nanos now, Nanos timeout) {
  return timeout < 0 || timeout > kMostTime ? INT64_MAX : now + timeout;
}

}  // namespace

Nanos Machine::now() {
  now_ += static_cast<Nanos>(random_.below(kLongestLook));
  pass();
  return now_;
}

void Machine::lock() {
  if (current_ == nullptr) return;
  pass();
  ++current_->locks;
  current_->process->holder = current_;
}

void Machine::unlock() {
  if (current_ == nullptr) return;
  if (--current_->locks > 0) return;
  current_->process->holder = nullptr;
  pass(Step::kMayNotDie);
}

void Machine::sleep(Nanos duration) {
  block(Thread::State::kSleeping, now_ + duration);
}

bool Machine::wait_futex(const std::atomic<uint32_t>* word, Nanos timeout) {
  Thread& thread = *current_;
  thread.word = word;
  thread.woken = false;
  block(Thread::State::kFutex, deadline(now_, timeout));
  return thread.woken;
}

int Machine::wake_futex(const std::atomic<uint32_t>* word, int n) {
  int woken = 0;
  for (const auto& thread : threads_) {
    if (woken == n) break;
    if (thread->state != Thread::State::kFutex || thread->word != word || thread->woken) continue;
    thread->woken = true;
    ++woken;
  }
  pass();
  return woken;
}

int Machine::poll(pollfd* items, size_t n, Nanos timeout) {
  pass();
  const int ready = ::poll(items, n, 0);
  if (ready != 0 || timeout == 0) return ready;
  current_->items = items;
  current_->item_count = n;
  block(Thread::State::kPoll, deadline(now_, timeout));
  return ::poll(items, n, 0);
}

void Machine::join(const Thread& thread) {
  current_->joined = &thread;
  block(Thread::State::kJoin, INT64_MAX);
}

bool Machine::asleep(const Process& process) const {
  return process.main->state == Thread::State::kFutex;
}

uint64_t Machine::available_memory() const {
  const Nanos every = settings_.memory_short_every;
  const bool is_short = memory_short_ || (every > 0 && now_ % every < every / 4);
  return is_short ? 0 : uint64_t{1} << 40;
}

std::string Machine::describe() const {
  static constexpr const char* kStates[] = {"ready", "sleeping", "futex", "poll", "join", "done"};
  std::string text = "at " + std::to_string(now_) + "\n";
  for (const auto& thread : threads_) {
    text += "  " + thread->name + ": " + kStates[static_cast<int>(thread->state)];
    if (thread->until != INT64_MAX) text += ", until " + std::to_string(thread->until);
    if (thread->stalled_until > now_) {
      text += ", stalled until " + std::to_string(thread->stalled_until);
    }
    if (thread->process->holder == thread.get()) text += ", holds a lock";
    text += "\n";
  }
  return text;
}

void Machine::trace(const char* format, ...) {
  if (!settings_.traced) return;
  std::printf("%12.3f us %-14s ", static_cast<double>(now_ - bolide::kSecond) / 1000,
              current_ == nullptr ? "-" : current_->name.c_str());
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}

}  // namespace simulator

#include "simulated/machine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/assert.h"

namespace simulator {
namespace {

constexpr uint64_t kMostSteps = 20'000'000;
constexpr uint64_t kLongestStep = 100;  // ns
constexpr uint64_t kStepsPerCheck = 64;

Machine* machine = nullptr;

}  // namespace

void fail(const char* format, ...) {
  char text[2048];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Failure{text};
}

Machine::Machine(const MachineSettings& settings, uint64_t seed)
    : settings_(settings), random_(seed) {
  machine = this;
  bolide::simulated_clock = [] { return Machine::here().now(); };
}

Machine::~Machine() {
  // After a failure threads are left in the middle of something: they stay where they are.
  for (const auto& thread : threads_) {
    if (!thread->fiber->done()) static_cast<void>(thread->fiber.release());
  }
  bolide::simulated_clock = nullptr;
  machine = nullptr;
}

Machine& Machine::here() {
  return *machine;
}

// ---- processes and threads

Process& Machine::start_process(const std::string& name, bool may_be_killed,
                                std::function<void()> body) {
  processes_.push_back(std::make_unique<Process>());
  Process& process = *processes_.back();
  process.pid = next_pid_++;
  process.name = name;
  process.may_be_killed = may_be_killed;
  process.end_event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  BOLIDE_CHECK(process.end_event.valid(), "no descriptor for a process");
  process.main = &start_thread(process, name, std::move(body));
  return process;
}

Thread& Machine::start_thread(Process& process, const std::string& name,
                              std::function<void()> body) {
  if (current_ != nullptr) end_if_dead();
  threads_.push_back(std::make_unique<Thread>());
  Thread& thread = *threads_.back();
  thread.process = &process;
  thread.name = name;
  thread.fiber = std::make_unique<Fiber>([this, &thread, body = std::move(body)] {
    try {
      if (thread.process->alive) body();
    } catch (const Killed&) {
    } catch (Failure& failure) {
      failure_ = std::make_unique<Failure>(std::move(failure));
    }
    thread.state = Thread::State::kDone;
  });
  return thread;
}

void Machine::kill(Process& process, int status) {
  if (!process.alive) return;
  trace("%s is killed", process.name.c_str());
  process.status = status;
  if (on_kill) on_kill(process);
  process.alive = false;
  dying_ = true;
}

Process* Machine::find_process(int pid) {
  for (const auto& each : processes_) {
    if (each->pid == pid) return each.get();
  }
  return nullptr;
}

// bury_the_dead unwinds the threads of processes that have ended, the main thread of each last,
// since the others use what is on its stack, and tells that they are gone.
void Machine::bury_the_dead() {
  dying_ = false;
  std::vector<Process*> dead;
  for (const auto& process : processes_) {
    if (!process->alive && process->main != nullptr) dead.push_back(process.get());
  }
  for (Process* process : dead) {
    const auto is_its = [&](const auto& thread) { return thread->process == process; };
    for (size_t i = threads_.size(); i-- > 0;) {
      Thread& thread = *threads_[i];
      if (!is_its(&thread)) continue;
      thread.buried = true;
      while (!thread.fiber->done()) resume(thread);
    }
    process->main = nullptr;
    process->holder = nullptr;
    std::erase_if(threads_, is_its);
    const uint64_t one = 1;
    BOLIDE_CHECK(::write(process->end_event.get(), &one, sizeof one) == sizeof one, "a full event");
    if (on_end) on_end(*process);
  }
}

// ---- steps

void Machine::resume(Thread& thread) {
  current_ = &thread;
  thread.fiber->resume();
  current_ = nullptr;
  if (!thread.fiber->done() || !thread.process->alive) return;
  if (thread.process->main == &thread) {
    thread.process->alive = false;
    dying_ = true;
  }
}

void Machine::pass(Step step) {
  if (current_ == nullptr || current_->unwinding) return;
  Thread& thread = *current_;
  now_ += static_cast<Nanos>(random_.below(kLongestStep));
  ++steps_;
  Process& process = *thread.process;
  const bool may_die = step == Step::kMayDie;
  if (may_die && process.alive && process.may_be_killed && kills_ < settings_.kills &&
      random_.below(1'000'000) < settings_.kills_per_million) {
    ++kills_;
    kill(process, 9);
  }
  if (process.alive && random_.one_in(settings_.switch_one_in)) {
    thread.state = Thread::State::kReady;
    if (random_.below(1'000'000) < settings_.stalls_per_million) {
      thread.stalled_until =
          now_ + static_cast<Nanos>(random_.below(static_cast<uint64_t>(settings_.longest_stall)));
    }
    thread.fiber->suspend();
  }
  if (may_die) end_if_dead();
}

void Machine::end_if_dead() {
  Thread& thread = *current_;
  if (thread.process->alive || thread.unwinding) return;
  if (!thread.buried) thread.fiber->suspend();  // until it is its turn, see bury_the_dead
  thread.unwinding = true;
  throw Killed();
}

void Machine::block(Thread::State state, Nanos until) {
  Thread& thread = *current_;
  if (!thread.unwinding) {
    thread.state = state;
    thread.until = until;
    thread.fiber->suspend();
    thread.state = Thread::State::kReady;
  }
  pass();
}

bool Machine::can_go_on(Thread& thread) const {
  if (thread.stalled_until > now_) return false;
  const Thread* holder = thread.process->holder;
  if (holder != nullptr && holder != &thread) return false;
  switch (thread.state) {
    case Thread::State::kReady:
      return true;
    case Thread::State::kSleeping:
      return thread.until <= now_;
    case Thread::State::kFutex:
      return thread.woken || thread.until <= now_;
    case Thread::State::kPoll:
      return thread.until <= now_ || ::poll(thread.items, thread.item_count, 0) > 0;
    case Thread::State::kJoin:
      return thread.joined->state == Thread::State::kDone;
    case Thread::State::kDone:
      return false;
  }
  return false;
}

Thread* Machine::pick() {
  able_.clear();
  for (const bool rare : {false, true}) {
    if (!able_.empty()) break;
    for (const auto& thread : threads_) {
      const bool is_rare = thread->rare && thread->state == Thread::State::kPoll;
      if (is_rare == rare && can_go_on(*thread)) able_.push_back(thread.get());
    }
  }
  return able_.empty() ? nullptr : able_[random_.below(able_.size())];
}

// advance lets time go on to the next moment at which somebody can do something.
void Machine::advance() {
  Nanos next = INT64_MAX;
  bool stalled = false;
  for (const auto& thread : threads_) {
    if (thread->stalled_until > now_) {
      stalled = true;
      next = std::min(next, thread->stalled_until);
    } else if (thread->state != Thread::State::kReady && thread->until > now_) {
      next = std::min(next, thread->until);
    }
  }
  if (!stalled && on_quiet) on_quiet(next);
  if (next == INT64_MAX) fail("nobody can go on, but the program has not ended");
  if (next > kMostTime) fail("no end after an hour");
  now_ = next;
}

void Machine::run(std::function<void()> program) {
  Process& first = start_process("driver", false, std::move(program));
  while (first.main != nullptr) {
    if (dying_) {
      bury_the_dead();
    } else if (Thread* next = pick()) {
      resume(*next);
    } else {
      advance();
    }
    if (failure_ != nullptr) throw *failure_;
    if (steps_ > kMostSteps) fail("no end after %lu steps", steps_);
    if (on_step && first.holder == nullptr && steps_ >= next_check_) {
      next_check_ = steps_ + kStepsPerCheck;
      on_step();
    }
  }
  for (const auto& process : processes_) {
    if (process->main != nullptr) fail("%s has outlived the driver", process->name.c_str());
  }
}

}  // namespace simulator

// machine: a computer in one thread, in virtual time: processes of simulated threads, which a seed
// interleaves at every fault point of the core, every lock and every wait, and kills.
//
// The core's own code runs in these threads. What it asks of the operating system is answered by
// os_*.cpp, with this class; descriptors, sockets and shared memory are the real ones.
//
// A step is what a thread does between two calls of pass(). After one, another thread may be next;
// when none can go on, time jumps to the next moment at which one can, and when there is no such
// moment although the program has not ended, somebody was forgotten.
//
// Thread safety: none needed. Invariants
//   1. While a thread holds a lock, no other thread of its process runs: so a lock is always free
//      for who takes it, and what can be seen of a process from outside is all that varies.
//   2. A killed process makes no further step that others can see: its threads are unwound (Killed)
//      before anybody else goes on, and what they do then stays private.
#pragma once

#include <poll.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "os/fd.h"
#include "simulated/fiber.h"
#include "simulated/random.h"

namespace simulator {

using bolide::Nanos;

inline constexpr Nanos kMostTime = 3600 * bolide::kSecond;  // of a run

// Failure is how a check ends a run; Killed is how the threads of a killed process come to an end.
struct Failure {
  std::string text;
};
struct Killed {};
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...);

struct MachineSettings {
  int cores = 2;
  uint64_t switch_one_in = 3;       // steps after which another thread may be next
  uint64_t kills = 0;               // at most
  uint64_t kills_per_million = 0;   // steps of a process that may be killed
  uint64_t stalls_per_million = 0;  // switches after which a thread gets no processor for a while
  Nanos longest_stall = 0;
  uint64_t blocked_sends_per_mille = 0;  // messages for which a socket has no room
  Nanos memory_short_every = 0;          // if set: how often the machine has no memory left
  bool traced = false;
};

struct Thread;

struct Process {
  int pid = 0;
  std::string name;
  bool may_be_killed = false;
  bool alive = true;
  int status = 0;            // as waitpid gives it
  bool signalled = false;    // it was sent a signal that it has not looked at
  bolide::os::Fd end_event;  // an eventfd: readable once the process has ended
  int pidfd = -1;            // the number of the descriptor that its parent has
  Thread* main = nullptr;
  Thread* holder = nullptr;  // the thread that holds a lock
};

struct Thread {
  enum class State { kReady, kSleeping, kFutex, kPoll, kJoin, kDone };
  Process* process = nullptr;
  std::string name;
  std::unique_ptr<Fiber> fiber;
  State state = State::kReady;
  Nanos until = INT64_MAX;
  Nanos stalled_until = 0;
  const std::atomic<uint32_t>* word = nullptr;  // kFutex
  bool woken = false;
  pollfd* items = nullptr;  // kPoll
  size_t item_count = 0;
  bool rare = false;  // it polls for what rarely comes: looked at when nobody else can go on
  const Thread* joined = nullptr;  // kJoin
  uint32_t locks = 0;
  bool buried = false;  // its process has ended: it is to unwind
  bool unwinding = false;
};

class Machine {
 public:
  Machine(const MachineSettings& settings, uint64_t seed);
  ~Machine();
  static Machine& here();

  // run makes the first process, whose main thread runs `program`, and returns when that has ended.
  // Throws the Failure that a thread has thrown.
  void run(std::function<void()> program);

  // start_process returns at once. When the body returns, the process has exited.
  Process& start_process(const std::string& name, bool may_be_killed, std::function<void()> body);
  Thread& start_thread(Process& process, const std::string& name, std::function<void()> body);
  void kill(Process& process, int status);
  Process* find_process(int pid);
  const std::vector<std::unique_ptr<Process>>& processes() const { return processes_; }

  // --- from a simulated thread
  Process& process() { return *current_->process; }
  Thread& thread() { return *current_; }
  Nanos now();
  enum class Step { kMayDie, kMayNotDie };
  void pass(Step step = Step::kMayDie);
  // end_if_dead is for what follows a step that the process may not have survived.
  void end_if_dead();
  void lock();
  void unlock();
  void sleep(Nanos duration);
  // False: the time came first. Negative timeouts: no limit.
  bool wait_futex(const std::atomic<uint32_t>* word, Nanos timeout);
  int wake_futex(const std::atomic<uint32_t>* word, int n);
  int poll(pollfd* items, size_t n, Nanos timeout);
  void join(const Thread& thread);

  // --- for the run
  Random& random() { return random_; }
  const MachineSettings& settings() const { return settings_; }
  Nanos time() const { return now_; }
  uint64_t steps() const { return steps_; }
  uint64_t available_memory() const;
  void set_memory_short(bool is_short) { memory_short_ = is_short; }
  bool asleep(
      const Process& process) const;         // its main thread waits for others, with nothing to do
  std::string describe() const;              // its threads
  bool may_give_up = false;  // a process that ends itself is no failure of the run
  std::function<void(Process&)> on_kill;     // before its threads are unwound
  std::function<void(Process&)> on_end;      // it is gone
  std::function<void()> on_step;             // no lock of the first process is held
  std::function<void(Nanos next)> on_quiet;  // nobody can go on before `next`

  void trace(const char* format, ...) __attribute__((format(printf, 2, 3)));

  // While a Calm exists, nothing is a step: for looking at the core from a simulated thread.
  class Calm {
   public:
    explicit Calm(Machine& m) : machine_(m), thread_(std::exchange(m.current_, nullptr)) {}
    ~Calm() { machine_.current_ = thread_; }
    Calm(const Calm&) = delete;
    Calm& operator=(const Calm&) = delete;

   private:
    Machine& machine_;
    Thread* thread_;
  };

 private:
  void resume(Thread& thread);
  void block(Thread::State state, Nanos until);
  bool can_go_on(Thread& thread) const;
  Thread* pick();
  void bury_the_dead();
  void advance();

  const MachineSettings settings_;
  Random random_;
  Nanos now_ = bolide::kSecond;
  uint64_t steps_ = 0;
  uint64_t next_check_ = 0;
  uint64_t kills_ = 0;
  int next_pid_ = 100;
  Thread* current_ = nullptr;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Thread*> able_;
  bool memory_short_ = false;
  bool dying_ = false;  // some process is dead whose threads are there still
  std::unique_ptr<Failure> failure_;
};

}  // namespace simulator

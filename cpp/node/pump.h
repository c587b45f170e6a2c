// pump: how threads of one process wait for results without a thread of their own. Of the
// threads that wait, one leads: it drains the rings itself, spins for a moment, then sleeps on
// the process's doorbell; the others sleep each on a word of its own and are woken when their
// result is there, or to take the lead.
//
// The owner (the node, or a worker's client) says how to drain and how to sleep. Nothing here
// knows Python; the caller releases the GIL around wait() and limits a turn so that it can look
// for signals between turns.
//
// Thread safety: all methods from any thread; drain() and the two sleep hooks run under mutex().
//
// Invariants
//   1. At most one thread leads; if threads wait, one leads or has been woken to.
//   2. A waiter's `done` changes under the mutex only.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "store/object_table.h"

namespace bolide::node {

enum class WaitResult : uint8_t {
  kReady,
  kTurnOver,  // time is over, or a signal came: look for signals, check the deadline, call again
  kClosed,    // the runtime was shut down
  kRunTask,   // in a worker: a task that this thread waits for is to be run by it (inline)
};

// One thread's wait for `needed` of the watched entries. Lives on the waiter's stack.
struct Waiter {
  uint32_t needed = 1;
  uint32_t ready = 0;
  const store::ObjectEntry* only = nullptr;  // if set: waits for this one, unregistered
  std::atomic<uint32_t> word{0};             // futex word of a follower
  bool sleeping = false;
  bool has_task = false;                     // in a worker: a task record for this thread is next

  bool done() const { return has_task || is_ready(); }
  bool is_ready() const { return only != nullptr ? only->ready() : ready >= needed; }
};

class BOLIDE_API Pump {
 public:
  explicit Pump(Nanos max_spin) : max_spin_(max_spin), spin_(max_spin) {}
  virtual ~Pump() = default;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  Mutex& mutex() { return mutex_; }

 protected:
  // wait_turn waits until `waiter.done()`, the time `until`, or the end of the runtime.
  // The waiter must have been registered with whatever notifies it.
  WaitResult wait_turn(Waiter& waiter, Nanos until, MutexLock& lock);

  // spin_turn waits for a moment only: it polls and does not sleep. For a caller that would have
  // to give something up (the GIL) in order to sleep; or, `whole`, that sleeps in its own way if
  // this gives nothing. False also when another thread leads.
  bool spin_turn(Waiter& waiter, MutexLock& lock, bool whole = false);

  // notify counts one more ready entry for the waiter and wakes it when it has enough.
  void notify(Waiter& waiter);
  void wake_everybody();
  void wake(Waiter& waiter);

  // drain processes what lies in the rings. True when something was there.
  virtual bool drain() = 0;
  // looks_empty is a cheap guess, without the lock, that drain would find nothing.
  virtual bool looks_empty() const = 0;
  // before_sleep asks others to ring; afterwards the caller drains once more, then sleeps.
  virtual void before_sleep() = 0;
  // sleep is called without the lock; false: a signal handler ran.
  virtual bool sleep(Nanos until) = 0;
  virtual void after_sleep() = 0;
  // before_follow: this thread goes to sleep behind a leader, who may be asleep already and so may
  // not tell what this thread has published.
  virtual void before_follow() {}
  virtual void lead_begins() {}
  virtual void lead_ends() {}

  bool has_leader() const { return leader_ != nullptr; }
  bool closed() const { return closed_; }

  Mutex mutex_;
  bool closed_ = false;

 private:
  bool lead(Waiter& waiter, Nanos until, MutexLock& lock);
  bool poll(Nanos until, MutexLock& lock);
  void adapt_spin(bool slept);
  bool follow(Waiter& waiter, Nanos until, MutexLock& lock);
  void hand_on();

  const Nanos max_spin_;
  Nanos spin_;
  int short_spins_ = 0;  // waits in a row that outlasted their spin
  Waiter* leader_ = nullptr;
  std::vector<Waiter*> followers_;
};

}  // namespace bolide::node

#include "node/pump.h"

#include <algorithm>

#include "os/cpu.h"
#include "os/futex.h"

namespace bolide::node {
namespace {

constexpr int kLooksPerClockRead = 32;
constexpr Nanos kMinSpin = 2'000;    // still longer than the way to a worker that spins too, and back
constexpr int kWaitsPerProbe = 32;
constexpr Nanos kShortSpin = 5'000;  // of spin_turn: no longer than other threads can do without

}  // namespace

WaitResult Pump::wait_turn(Waiter& waiter, Nanos until, MutexLock& lock) {
  WaitResult result = WaitResult::kReady;
  bool woken_to_lead = false;
  while (!waiter.done()) {
    if (closed_) {
      result = WaitResult::kClosed;
      break;
    }
    bool undisturbed = true;
    if (leader_ == nullptr) {
      leader_ = &waiter;
      lead_begins();
      undisturbed = lead(waiter, until, lock);
      leader_ = nullptr;
      woken_to_lead = true;
    } else {
      undisturbed = follow(waiter, until, lock);
      woken_to_lead = leader_ == nullptr;
    }
    if (!waiter.done() && !closed_ && (!undisturbed || now() >= until)) {
      result = WaitResult::kTurnOver;
      break;
    }
  }
  // Whoever led, or was woken to and does not need to, passes the lead on.
  if (woken_to_lead && leader_ == nullptr) hand_on();
  return result;
}

void Pump::hand_on() {
  for (Waiter* waiter : followers_) {
    if (waiter->done()) continue;  // woken already; it will not lead
    wake(*waiter);
    return;
  }
  lead_ends();
}

bool Pump::spin_turn(Waiter& waiter, MutexLock& lock, bool whole) {
  if (leader_ != nullptr || closed_) return waiter.done();
  leader_ = &waiter;
  lead_begins();
  drain();
  if (!waiter.done() && spin_ > 0) {
    const Nanos until = now() + (whole ? spin_ : std::min(spin_, kShortSpin));
    while (!waiter.done() && !closed_ && poll(until, lock)) drain();
    if (waiter.done() || whole) adapt_spin(!waiter.done());
  }
  leader_ = nullptr;
  hand_on();
  return waiter.done();
}

// poll looks at the rings' tails, without the lock, until there is something: true; or the time.
bool Pump::poll(Nanos until, MutexLock& lock) {
  bool found = false;
  lock.unlock();
  do {
    for (int i = 0; i < kLooksPerClockRead && !found; ++i) {
      found = !looks_empty();
      if (!found) os::relax();
    }
  } while (!found && now() < until);
  lock.lock();
  return found;
}

// lead drains, spins and sleeps until the waiter is done or the time is over; false: a signal handler
// ran.
bool Pump::lead(Waiter& waiter, Nanos until, MutexLock& lock) {
  drain();
  if (waiter.done() || closed_) return true;
  Nanos spin_until = std::min(until, now() + spin_);
  bool slept = false;
  bool undisturbed = true;
  for (;;) {
    const bool found = now() < spin_until && poll(spin_until, lock);
    if (closed_) return true;
    if (found) {
      drain();
      if (waiter.done() || closed_) break;
      if (now() >= until) return true;
      continue;
    }
    if (now() >= until) return true;
    before_sleep();
    if (!drain() && !waiter.done() && !closed_) {
      lock.unlock();
      undisturbed = sleep(until);
      lock.lock();
      slept = true;
    }
    if (closed_) return true;
    after_sleep();
    drain();
    if (waiter.done()) break;
    const Nanos time = now();
    if (!undisturbed) return false;
    if (time >= until) return true;
    spin_until = std::min(until, time + spin_);
  }
  adapt_spin(slept);
  return true;
}

// adapt_spin: spin longer where it succeeds, and give the core away sooner where it fails: the
// other side may be waiting for this very core. Now and then a whole spin finds out whether that
// has changed.
void Pump::adapt_spin(bool slept) {
  if (!slept) {
    spin_ = max_spin_;
    short_spins_ = 0;
  } else if (++short_spins_ % kWaitsPerProbe == 0) {
    spin_ = max_spin_;
  } else {
    spin_ = std::max(std::min(kMinSpin, max_spin_), spin_ / 2);
  }
}

bool Pump::follow(Waiter& waiter, Nanos until, MutexLock& lock) {
  before_follow();
  followers_.push_back(&waiter);
  waiter.sleeping = true;
  const uint32_t word = waiter.word.load(std::memory_order_relaxed);  // written under the lock
  lock.unlock();
  const os::Wake wake =
      os::futex_wait(&waiter.word, word, std::max<Nanos>(0, until - now()));
  lock.lock();
  waiter.sleeping = false;
  followers_.erase(std::find(followers_.begin(), followers_.end(), &waiter));
  return wake != os::Wake::kInterrupted;
}

void Pump::notify(Waiter& waiter) {
  ++waiter.ready;
  if (waiter.done() && waiter.sleeping) wake(waiter);
}

void Pump::wake(Waiter& waiter) {
  waiter.word.fetch_add(1, std::memory_order_release);  // partner: the kernel's look in futex_wait
  os::futex_wake(&waiter.word, 1);
}

void Pump::wake_everybody() {
  for (Waiter* waiter : followers_) wake(*waiter);
}

}  // namespace bolide::node

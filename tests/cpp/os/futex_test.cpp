// futex_wait and futex_wake: each way to come back, and a wake-up from another process.
#include "os/futex.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <new>

#include "os/memory.h"
#include "support/forked.h"
#include "support/signals.h"

using namespace bolide;
using os::Wake;

TEST_CASE("a word with another value is not waited for") {
  std::atomic<uint32_t> word{1};
  CHECK(os::futex_wait(&word, 0, -1) == Wake::kChanged);
}

TEST_CASE("a wait ends when its time is over") {
  std::atomic<uint32_t> word{0};
  CHECK(os::futex_wait(&word, 0, 0) == Wake::kTimeout);
  Nanos before = now();
  CHECK(os::futex_wait(&word, 0, kMillisecond) == Wake::kTimeout);
  CHECK(now() - before >= kMillisecond);
}

TEST_CASE("a wait without limit is interrupted by a signal handler") {
  std::atomic<uint32_t> word{0};
  support::SignalStorm storm;
  CHECK(os::futex_wait(&word, 0, -1) == Wake::kInterrupted);
  CHECK(os::futex_wait(&word, 0, 3600 * kSecond) == Wake::kInterrupted);
}

TEST_CASE("waking nobody wakes nobody") {
  std::atomic<uint32_t> word{0};
  CHECK(os::futex_wake(&word, 10) == 0);
}

TEST_CASE("a wake-up reaches a sleeper in another process, through another mapping") {
  Result<os::Fd> memfd = os::create_memfd("futex-test", 4096);
  REQUIRE(memfd.is_ok());
  Result<os::Mapping> mapping = os::Mapping::map(*memfd, 4096, os::Access::kReadWrite);
  REQUIRE(mapping.is_ok());
  auto* word = new (mapping->data()) std::atomic<uint32_t>(0);

  pid_t child = ::fork();
  if (child == 0) {
    Result<os::Mapping> own = os::Mapping::map(*memfd, 4096, os::Access::kReadWrite);
    if (!own.is_ok()) ::_exit(1);
    auto* same = reinterpret_cast<std::atomic<uint32_t>*>(own->data());
    Wake wake = os::futex_wait(same, 0, -1);
    ::_exit(wake == Wake::kWoken && same->load() == 0 ? 0 : 2);
  }
  // The value never changes, so the child cannot miss the moment: it sleeps until this finds it.
  while (os::futex_wake(word, 1) == 0) ::sched_yield();
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("a word that is not aligned or not mapped is a failed check") {
  auto abuse = [](auto call) { return support::forked(call); };
  alignas(4) static char bytes[8] = {};
  auto* crooked = reinterpret_cast<std::atomic<uint32_t>*>(reinterpret_cast<uintptr_t>(bytes) + 1);
  support::Ended wait = abuse([&] { return static_cast<int>(os::futex_wait(crooked, 0, 0)); });
  CHECK(wait.killed(SIGABRT));
  CHECK(wait.said("the futex word is not mapped or not aligned"));
  support::Ended wake = abuse([&] { return os::futex_wake(crooked, 1); });
  CHECK(wake.killed(SIGABRT));
  CHECK(wake.said("the futex word is not mapped or not aligned"));
}

// start_thread: runs, is named, takes no signals, has the stack it was given, and is joined once.
#include "os/thread.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>

#include "support/faults.h"
#include "support/forked.h"

using namespace bolide;
using os::Thread;

TEST_CASE("a thread runs its body under its name and is joined") {
  std::string name;
  Result<Thread> thread = os::start_thread("supervisor-of-workers", [&] {
    char buffer[16] = {};
    pthread_getname_np(pthread_self(), buffer, sizeof buffer);
    name = buffer;
  });
  REQUIRE(thread.is_ok());
  CHECK(thread->joinable());
  thread->join();
  CHECK_FALSE(thread->joinable());
  thread->join();
  CHECK(name == "supervisor-of-w");
}

TEST_CASE("a thread has every signal blocked and its maker keeps its own mask") {
  auto blocked = [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    int count = 0;
    for (int sig : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE}) {
      count += sigismember(&mask, sig);
    }
    return count;
  };
  int before = blocked();
  int inside = 0;
  Thread thread = os::start_thread("masked", [&] { inside = blocked(); }).take();
  CHECK(blocked() == before);
  thread.join();
  CHECK(inside == 7);
}

TEST_CASE("a thread has a small stack of the size asked for") {
  auto stack_of = [](size_t wanted) {
    size_t size = 0;
    auto body = [&] {
      pthread_attr_t attributes;
      pthread_getattr_np(pthread_self(), &attributes);
      pthread_attr_getstacksize(&attributes, &size);
      pthread_attr_destroy(&attributes);
    };
    os::start_thread("stack", body, wanted).take().join();
    return size;
  };
  size_t normal = stack_of(os::kThreadStackBytes);
  CHECK(normal >= os::kThreadStackBytes);
  CHECK(normal <= 3 * 1024 * 1024);
  CHECK(stack_of(4 * 1024 * 1024) >= 4 * 1024 * 1024);
  CHECK(stack_of(1) >= 64 * 1024);  // a stack that can hold a frame
}

TEST_CASE("a thread handle moves, and its end waits for the thread") {
  std::atomic<int> done{0};
  {
    Thread first = os::start_thread("first", [&] { ++done; }).take();
    Thread moved = std::move(first);
    CHECK_FALSE(first.joinable());
    CHECK(moved.joinable());
    moved = os::start_thread("second", [&] { ++done; }).take();
    CHECK(done >= 1);  // assignment joined the first
    Thread& same = moved;
    moved = std::move(same);
    CHECK(moved.joinable());
  }
  CHECK(done == 2);
}

#ifndef __SANITIZE_THREAD__  // which wants no fork beside threads and no threads in a fork
TEST_CASE("a thread that waits for itself is a failed check") {
  support::Ended ended = support::forked([] {
    Thread thread;
    std::atomic<bool> ready{false};
    thread = os::start_thread("itself", [&] {
               while (!ready) {
               }
               thread.join();
             }).take();
    ready = true;
    for (;;) ::pause();
    return 0;
  });
  CHECK(ended.killed(SIGABRT));
  CHECK(ended.said("a thread cannot wait for itself"));
}

TEST_CASE("a forked child can forget a thread that it does not have") {
  std::atomic<bool> stop{false};
  Thread thread = os::start_thread("running", [&] {
                    while (!stop) {
                    }
                  }).take();
  support::Ended ended = support::forked([&] {
    thread.abandon();
    thread.join();
    return thread.joinable() ? 1 : 0;
  });
  CHECK(ended.exited(0));
  stop = true;
}
#endif

TEST_CASE("a thread whose stack cannot be had says so") {
  Result<Thread> thread = os::start_thread(
      "huge", [] {}, size_t{1} << 60);
  CHECK_FALSE(thread.is_ok());
  CHECK(thread.status().message().starts_with("cannot start thread huge: "));
}

#ifdef BOLIDE_FAULTS
TEST_CASE("starting a thread can fail") {
  support::FaultPlan plan("thread.start=fail");
  CHECK(os::start_thread("x", [] {}).status().message() ==
        "cannot start thread x: Resource temporarily unavailable (errno 11)");
}
#endif

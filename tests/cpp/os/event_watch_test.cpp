// EventWatch: a ring wakes every watcher once, and the owner's end wins.
#include "os/event_watch.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "os/event.h"
#include "os/fd_passing.h"
#include "os/process.h"
#include "os/thread.h"

using namespace bolide;
using os::EventWatch;
using Woken = EventWatch::Woken;

namespace {

// A process that lives until it is killed.
os::Child sleeper() {
  os::SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "exec sleep 1000"};
  spec.env = os::current_environment();
  auto child = os::spawn(spec);
  REQUIRE(child.is_ok());
  return child.take();
}

os::Fd copy_of(const os::Event& event) {
  auto copy = os::Fd(::dup(event.fd()));
  REQUIRE(copy.valid());
  return copy;
}

}  // namespace

TEST_CASE("event watch: every watcher sees a ring, and the end of the process") {
  const os::Child child = sleeper();
  auto event = os::Event::create();
  REQUIRE(event.is_ok());
  const os::Fd fd = copy_of(*event);
  auto sockets = os::socket_pair();
  REQUIRE(sockets.is_ok());
  auto first = EventWatch::create(child.pidfd, sockets->first, fd);
  auto second = EventWatch::create(child.pidfd, sockets->first, fd);
  REQUIRE(first.is_ok());
  REQUIRE(second.is_ok());
  for (int i = 0; i < 3; ++i) {  // the event is never cleared
    event->ring();
    CHECK(first->wait() == Woken::kRung);
    CHECK(second->wait() == Woken::kRung);
  }
  event->ring();
  event->ring();
  CHECK(first->wait() == Woken::kRung);

  std::atomic<int> rung{0};
  Woken last = Woken::kRung;
  os::Thread waiter = os::start_thread("waiter", [&] {
                        while ((last = first->wait()) == Woken::kRung) ++rung;
                      }).take();
  event->ring();
  while (rung.load() == 0) sched_yield();
  REQUIRE(os::send_signal(child.pidfd, SIGKILL).is_ok());
  waiter.join();
  CHECK(last == Woken::kEnded);
  CHECK(second->wait() == Woken::kEnded);  // also with a ring unread
  pollfd item{child.pidfd.get(), POLLIN, 0};
  os::poll_fds(&item, 1, kSecond);
  os::reap(child.pidfd);
}

TEST_CASE("event watch: a socket that hangs up is an end, one with a message is not") {
  const os::Child child = sleeper();
  auto event = os::Event::create();
  auto sockets = os::socket_pair();
  REQUIRE(event.is_ok());
  REQUIRE(sockets.is_ok());
  const os::Fd fd = copy_of(*event);
  auto watch = EventWatch::create(child.pidfd, sockets->first, fd);
  REQUIRE(watch.is_ok());
  const std::byte word[1]{};
  REQUIRE(os::send_message(sockets->second.get(), word, {}).is_ok());
  event->ring();
  CHECK(watch->wait() == Woken::kRung);
  sockets->second.reset();
  CHECK(watch->wait() == Woken::kEnded);
  REQUIRE(os::send_signal(child.pidfd, SIGKILL).is_ok());
  pollfd item{child.pidfd.get(), POLLIN, 0};
  os::poll_fds(&item, 1, kSecond);
  os::reap(child.pidfd);
}

TEST_CASE("event watch: descriptors that cannot be watched") {
  auto event = os::Event::create();
  REQUIRE(event.is_ok());
  const auto watch = EventWatch::create(os::Fd(), os::Fd(), copy_of(*event));
  CHECK(watch.status().code() == Code::kSystem);
}

// Event and poll_fds: rings are remembered and merged, polling ends in each of its three ways.
#include "os/event.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "support/faults.h"
#include "support/forked.h"
#include "support/signals.h"

using namespace bolide;
using os::Event;

namespace {
Event new_event() {
  Result<Event> event = Event::create();
  REQUIRE(event.is_ok());
  return event.take();
}
int poll_one(const Event& event, Nanos timeout) {
  pollfd item{event.fd(), POLLIN, 0};
  return os::poll_fds(&item, 1, timeout);
}
}  // namespace

TEST_CASE("an event is quiet until it rings, and quiet again once cleared") {
  Event event = new_event();
  CHECK(poll_one(event, 0) == 0);
  event.ring();
  event.ring();
  CHECK(poll_one(event, -1) == 1);
  CHECK(poll_one(event, 0) == 1);
  event.clear();
  CHECK(poll_one(event, 0) == 0);
  event.clear();  // nothing to clear
  CHECK((::fcntl(event.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("an event that rang as often as it can count still rings without blocking") {
  Event event = new_event();
  uint64_t most = UINT64_MAX - 1;
  REQUIRE(::write(event.fd(), &most, sizeof most) == sizeof most);
  event.ring();
  event.clear();
  CHECK(poll_one(event, 0) == 0);
}

TEST_CASE("poll tells which of several is ready") {
  Event first = new_event();
  Event second = new_event();
  second.ring();
  pollfd items[] = {{first.fd(), POLLIN, 0}, {second.fd(), POLLIN, 0}};
  CHECK(os::poll_fds(items, 2, -1) == 1);
  CHECK(items[0].revents == 0);
  CHECK(items[1].revents == POLLIN);
}

TEST_CASE("poll keeps to its time and is interrupted by a signal handler") {
  Event event = new_event();
  Nanos before = now();
  CHECK(poll_one(event, kMillisecond) == 0);
  CHECK(now() - before >= kMillisecond);
  support::SignalStorm storm;
  CHECK(poll_one(event, -1) == -1);
}

TEST_CASE("an event without a descriptor cannot ring, clear or be polled wrongly") {
  CHECK(support::forked([] { return Event().ring(), 0; }).said("an event's descriptor was closed"));
  CHECK(
      support::forked([] { return Event().clear(), 0; }).said("an event's descriptor was closed"));
  CHECK(support::forked([] {
          return os::poll_fds(nullptr, SIZE_MAX / 64, 0);
        }).said("poll was given a bad list"));
}

#ifdef BOLIDE_FAULTS
TEST_CASE("creating an event can fail") {
  support::FaultPlan plan("event.create=fail");
  CHECK(Event::create().status().message() ==
        "cannot create an eventfd: Too many open files (errno 24)");
}
#endif

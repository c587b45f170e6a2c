// Cores and descriptor limits. What changes this process is done in a forked child.
#include "os/cpu.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <cerrno>
#include <iostream>

#include "support/forked.h"

using namespace bolide;

TEST_CASE("the usable cores are at least one, and one when bound to one") {
  CHECK(os::usable_cores() >= 1);
  CHECK(os::usable_cores() <= 65536);
  support::Ended ended = support::forked([] {
    cpu_set_t all;
    cpu_set_t one;
    CPU_ZERO(&one);
    ::sched_getaffinity(0, sizeof all, &all);
    for (size_t i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &all)) {
        CPU_SET(i, &one);
        break;
      }
    }
    if (::sched_setaffinity(0, sizeof one, &one) != 0) return 1;
    return os::usable_cores() == 1 ? 0 : 2;
  });
  CHECK(ended.exited(0));
}

TEST_CASE("the descriptor limit goes up to what is wanted, never down, and back") {
  support::Ended ended = support::forked([] {
    Result<os::FdLimit> before = os::fd_limit();
    if (!before.is_ok() || before->hard < 128) return 1;
    if (!os::restore_fd_limit({64, before->hard}).is_ok()) return 2;
    if (!os::raise_fd_limit(100).is_ok() || os::fd_limit()->soft != 100) return 3;
    if (!os::raise_fd_limit(50).is_ok() || os::fd_limit()->soft != 100) return 4;
    if (os::fd_limit()->hard != before->hard) return 5;
    if (!os::restore_fd_limit(*before).is_ok() || os::fd_limit()->soft != before->soft) return 6;
    return 0;
  });
  CHECK(ended.exited(0));
}

TEST_CASE("beyond the hard limit the soft one goes as far as it can, and the sentence says so") {
  support::Ended ended = support::forked([] {
    if (!os::restore_fd_limit({64, 96}).is_ok()) return 1;
    Status status = os::raise_fd_limit(1000);
    std::cerr << status.message();
    return status.code() == Code::kFull && os::fd_limit()->soft == 96 ? 0 : 2;
  });
  CHECK(ended.exited(0));
  CHECK(ended.output ==
        "this process may open 96 descriptors, 1000 are wanted; raise the hard limit (ulimit -Hn)");
}

TEST_CASE("a limit that cannot be set says so") {
  Status status = os::restore_fd_limit({100, 50});
  CHECK(status.err() == EINVAL);
  CHECK(status.message() ==
        "cannot set the limit of open descriptors to 100: Invalid argument (errno 22)");
}

TEST_CASE("relax returns") {
  os::relax();
}

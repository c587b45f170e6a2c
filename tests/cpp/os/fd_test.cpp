// Fd: one owner, closed once, close-on-exec.
#include "os/fd.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "support/faults.h"

using bolide::os::Fd;

namespace {
bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
Fd open_null() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}
}  // namespace

TEST_CASE("a default Fd owns nothing") {
  Fd fd;
  CHECK_FALSE(fd.valid());
  CHECK(fd.get() == -1);
  fd.reset();
  CHECK(fd.release() == -1);
}

TEST_CASE("an Fd closes what it owns at its end, at reset and at assignment") {
  int number = -1;
  {
    Fd fd = open_null();
    number = fd.get();
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));

  Fd first = open_null();
  Fd second = open_null();
  int first_number = first.get();
  int second_number = second.get();
  first = std::move(second);
  CHECK_FALSE(is_open(first_number));
  CHECK(first.get() == second_number);
  CHECK_FALSE(second.valid());
  first.reset();
  CHECK_FALSE(is_open(second_number));
}

TEST_CASE("moving an Fd onto itself keeps it") {
  Fd fd = open_null();
  Fd& same = fd;
  fd = std::move(same);
  CHECK(fd.valid());
  CHECK(is_open(fd.get()));
}

TEST_CASE("release gives the descriptor away open") {
  Fd fd = open_null();
  int number = fd.release();
  CHECK_FALSE(fd.valid());
  CHECK(is_open(number));
  Fd owner(number);
}

TEST_CASE("dup makes a second descriptor that is close-on-exec") {
  Fd fd = open_null();
  bolide::Result<Fd> copy = fd.dup();
  REQUIRE(copy.is_ok());
  CHECK(copy->get() != fd.get());
  CHECK((::fcntl(copy->get(), F_GETFD) & FD_CLOEXEC) != 0);
  fd.reset();
  CHECK(is_open(copy->get()));
}

TEST_CASE("dup of nothing says so") {
  CHECK(Fd().dup().status().message() ==
        "cannot duplicate descriptor -1: Bad file descriptor (errno 9)");
}

#ifdef BOLIDE_FAULTS
TEST_CASE("dup reports that there is no descriptor left") {
  Fd fd = open_null();
  support::FaultPlan plan("fd.dup=fail");
  CHECK(fd.dup().status().err() == EMFILE);
}
#endif

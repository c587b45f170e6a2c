// Pipes for output: close-on-exec at both ends, and a reading end that never blocks.
#include "os/pipe.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "support/faults.h"

using namespace bolide;

namespace {
std::string available(const os::Fd& fd, size_t room = 64) {
  std::string text(room, '\0');
  text.resize(os::read_available(fd, std::as_writable_bytes(std::span(text))));
  return text;
}
}  // namespace

TEST_CASE("a pipe gives what is there and nothing when it is empty or at its end") {
  auto made = os::make_pipe();
  REQUIRE(made.is_ok());
  auto [read_end, write_end] = made.take();
  CHECK(available(read_end).empty());
  REQUIRE(::write(write_end.get(), "a line\n", 7) == 7);
  CHECK(available(read_end, 3) == "a l");
  CHECK(available(read_end) == "ine\n");
  write_end.reset();
  CHECK(available(read_end).empty());
}

TEST_CASE("both ends are close-on-exec, and only the reading end is non-blocking") {
  auto [read_end, write_end] = os::make_pipe().take();
  CHECK((::fcntl(read_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(write_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(read_end.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(write_end.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("reading from a closed descriptor finds nothing") {
  CHECK(available(os::Fd()).empty());
}

#ifdef BOLIDE_FAULTS
TEST_CASE("making a pipe can fail") {
  support::FaultPlan plan("pipe.create=fail");
  CHECK(os::make_pipe().status().err() == EMFILE);
}
#endif

// spawn, signals by pidfd, reaping and the words for how a process ended.
#include "os/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "os/event.h"
#include "os/fd_passing.h"
#include "support/faults.h"
#include "support/files.h"

using namespace bolide;
using os::Child;
using os::Fd;

namespace {

std::pair<Fd, Fd> new_pipe() {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

Child start(const os::SpawnSpec& spec) {
  Result<Child> child = os::spawn(spec);
  REQUIRE(child.is_ok());
  return child.take();
}

// touch has the kernel write the pages: what a sanitizer sees written also fills memory of its own.
void touch(void* memory, size_t size) {
  const Fd zeroes(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  REQUIRE(::syscall(SYS_read, zeroes.get(), memory, size) == static_cast<long>(size));
}

int wait_for(const Child& child) {
  pollfd item{child.pidfd.get(), POLLIN, 0};
  while (os::poll_fds(&item, 1, -1) < 0) {
  }
  std::optional<int> status = os::reap(child.pidfd);
  REQUIRE(status);
  return *status;
}

// What a program prints, run under `spec` (whose argv it completes).
std::string output_of(std::vector<std::string> argv, os::SpawnSpec spec = {}) {
  auto [read_end, write_end] = new_pipe();
  spec.argv = std::move(argv);
  spec.fds.emplace_back(write_end.get(), 1);
  Child child = start(spec);
  write_end.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  CHECK(wait_for(child) == 0);
  return text;
}

std::string field(const std::string& text, const std::string& key) {
  size_t begin = text.find(key);
  if (begin == std::string::npos) return "";
  begin += key.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

TEST_CASE("a child's exit code is reaped once it has ended, and not before") {
  auto [read_end, write_end] = new_pipe();
  Child child = start({{"/bin/sh", "-c", "read line; exit 3"}, {}, {{read_end.get(), 0}}, false});
  CHECK(child.pid > 0);
  CHECK((::fcntl(child.pidfd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_FALSE(os::reap(child.pidfd));
  write_end.reset();  // the child reads the end of its input and goes
  CHECK(os::describe_exit(wait_for(child)) == "exit code 3");
  CHECK(os::reap(child.pidfd) == -1);  // reaped already
}

TEST_CASE("a child has the null device as stdin") {
  CHECK(output_of({"/bin/cat"}).empty());
  CHECK(output_of({"/bin/readlink", "/proc/self/fd/0"}) == "/dev/null\n");
}

TEST_CASE("a child gets exactly the environment it is given") {
  CHECK(output_of({"/usr/bin/env"}).empty());
  os::SpawnSpec spec;
  spec.env = {"A=1", "B=two words"};
  CHECK(output_of({"/usr/bin/env"}, std::move(spec)) == "A=1\nB=two words\n");
}

TEST_CASE("current_environment has what setenv set") {
  ::setenv("BOLIDE_TEST_VARIABLE", "here", 1);
  os::SpawnSpec spec;
  spec.env = os::current_environment();
  ::unsetenv("BOLIDE_TEST_VARIABLE");
  CHECK(output_of({"/usr/bin/env"}, std::move(spec)).find("BOLIDE_TEST_VARIABLE=here\n") !=
        std::string::npos);
}

TEST_CASE("a child gets the descriptors named, under their new numbers, and no others") {
  auto [first_read, first_write] = new_pipe();
  auto [second_read, second_write] = new_pipe();
  REQUIRE(::write(first_write.get(), "first", 5) == 5);
  REQUIRE(::write(second_write.get(), "second", 6) == 6);
  first_write.reset();
  second_write.reset();
  // Crosswise, so that placing one descriptor naively would overwrite the other.
  os::SpawnSpec spec;
  spec.fds = {{first_read.get(), second_read.get()}, {second_read.get(), first_read.get()}};
  std::string script =
      "cat <&" + std::to_string(second_read.get()) + "; cat <&" + std::to_string(first_read.get());
  // dash knows only one-digit descriptor numbers.
  REQUIRE(first_read.get() < 10);
  REQUIRE(second_read.get() < 10);
  spec.env = {"PATH=/usr/bin:/bin"};
  CHECK(output_of({"/bin/sh", "-c", script}, std::move(spec)) == "firstsecond");

  // 0, 1 and 2, and the one with which ls reads the folder: not one without close-on-exec either.
  Fd stranger(::fcntl(first_read.get(), F_DUPFD, 50));
  os::SpawnSpec bare;
  CHECK(output_of({"/bin/ls", "/proc/self/fd"}, std::move(bare)) == "0\n1\n2\n3\n");
}

TEST_CASE("a descriptor may keep its number") {
  auto [read_end, write_end] = new_pipe();
  os::SpawnSpec spec;
  spec.fds = {{read_end.get(), read_end.get()}};
  std::string number = std::to_string(read_end.get());
  CHECK(output_of({"/bin/readlink", "/proc/self/fd/" + number}, std::move(spec))
            .starts_with("pipe:"));
}

TEST_CASE("a child starts with no signal blocked or ignored") {
  sigset_t some;
  sigset_t before;
  sigemptyset(&some);
  sigaddset(&some, SIGINT);
  sigaddset(&some, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &some, &before);
  auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
  auto old_int = ::signal(SIGINT, SIG_IGN);
  std::string status = output_of({"/bin/cat", "/proc/self/status"});
  ::signal(SIGINT, old_int);
  ::signal(SIGPIPE, old_pipe);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // The C library keeps signals 32 and 33 to itself, so those are as our own parent left them.
  constexpr uint64_t kOurs = ~(uint64_t{3} << 31);
  CHECK((std::stoull(field(status, "SigBlk:\t"), nullptr, 16) & kOurs) == 0);
  CHECK((std::stoull(field(status, "SigIgn:\t"), nullptr, 16) & kOurs) == 0);
}

TEST_CASE("a child may lead a process group, which can be killed as a whole") {
  auto [read_end, write_end] = new_pipe();
  auto [out_read, out_write] = new_pipe();
  os::SpawnSpec spec{{"/bin/sh", "-c", "/bin/cat & /bin/cat"},
                     {"PATH=/bin"},
                     {{read_end.get(), 0}, {out_write.get(), 1}},
                     true};
  Child child = start(spec);
  out_write.reset();
  CHECK(::getpgid(child.pid) == child.pid);
  CHECK(os::kill_group(child.pid, SIGKILL));
  CHECK(os::describe_exit(wait_for(child)) == "killed by signal 9 (SIGKILL)");
  char byte = 0;
  CHECK(::read(out_read.get(), &byte, 1) == 0);  // the grandchildren are gone as well

  Child same = start({{"/bin/cat"}, {}, {}, false});
  CHECK(::getpgid(same.pid) == ::getpgrp());
  CHECK(wait_for(same) == 0);
  CHECK_FALSE(os::kill_group(same.pid, SIGKILL));  // it led no group
}

TEST_CASE("groups that would mean ourselves or everybody are not signalled") {
  CHECK_FALSE(os::kill_group(0, SIGKILL));
  CHECK_FALSE(os::kill_group(1, SIGKILL));
  CHECK_FALSE(os::kill_group(-5, SIGKILL));
}

TEST_CASE("a signal reaches a process through its pidfd, and none that has ended") {
  auto [read_end, write_end] = new_pipe();
  Child child = start({{"/bin/cat"}, {}, {{read_end.get(), 0}}, false});
  CHECK(os::send_signal(child.pidfd, 1000).err() == EINVAL);
  REQUIRE(os::send_signal(child.pidfd, SIGTERM).is_ok());
  CHECK(os::describe_exit(wait_for(child)) == "killed by signal 15 (SIGTERM)");
  Status late = os::send_signal(child.pidfd, SIGTERM);
  CHECK(late.code() == Code::kNotFound);
  CHECK(late.message() == "the process to signal has ended");
  CHECK(os::open_pidfd(child.pid).status().code() == Code::kNotFound);
  CHECK(os::open_pidfd(-1).status().err() == EINVAL);
}

TEST_CASE("a process that is not our child is known to live, and to have ended, but not how") {
  Fd parent = os::open_pidfd(::getppid()).take();
  CHECK_FALSE(os::reap(parent));

  Child child = start({{"/bin/cat"}, {}, {}, false});
  ::waitpid(child.pid, nullptr, 0);  // somebody else takes the status
  CHECK(os::reap(child.pidfd) == -1);
}

TEST_CASE("what cannot be started says so") {
  CHECK(os::spawn({}).status().message() == "cannot start a process without a program");
  CHECK(os::spawn({{"/no/such/program"}, {}, {}, false}).status().message() ==
        "cannot start /no/such/program: No such file or directory (errno 2)");
  CHECK(os::spawn({{"/bin/cat"}, {}, {{-1, 5}}, false}).status().err() == EBADF);
  CHECK(os::spawn({{"/bin/cat"}, {}, {{0, -5}}, false}).status().err() == EBADF);
}

TEST_CASE("private memory is what a process has touched, without what is shared") {
  constexpr size_t kSize = 32 << 20;
  const uint64_t before = os::private_memory(::getpid());
  CHECK(before > 0);
  CHECK(os::private_memory(0x3fffffff) == 0);
  void* own = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* shared = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(own != MAP_FAILED);
  REQUIRE(shared != MAP_FAILED);
  touch(shared, kSize);
  CHECK(os::private_memory(::getpid()) < before + kSize / 2);
  touch(own, kSize);
  CHECK(os::private_memory(::getpid()) > before + kSize / 2);
  ::munmap(own, kSize);
  ::munmap(shared, kSize);
}

TEST_CASE("an end is described in words") {
  CHECK(os::describe_exit(0) == "exit code 0");
  CHECK(os::describe_exit(3 << 8) == "exit code 3");
  CHECK(os::describe_exit(255 << 8) == "exit code 255");
  CHECK(os::describe_exit(SIGKILL) == "killed by signal 9 (SIGKILL)");
  CHECK(os::describe_exit(SIGSEGV | 0x80) == "killed by signal 11 (SIGSEGV)");
  CHECK(os::describe_exit(SIGBUS) == "killed by signal 7 (SIGBUS)");
  CHECK(os::describe_exit(40) == "killed by signal 40");
  CHECK(os::describe_exit(-1) == "status unknown");
  CHECK(os::describe_exit(0x137f) == "status unknown");  // stopped, not ended
}

TEST_CASE("a core dump is a death by its signal") {
  Child child = start({{"/bin/sh", "-c", "kill -SEGV $$"}, {}, {}, false});
  CHECK(os::describe_exit(wait_for(child)) == "killed by signal 11 (SIGSEGV)");
}

#ifdef BOLIDE_FAULTS
TEST_CASE("starting can fail, and a child that cannot be watched is not left behind") {
  {
    support::FaultPlan plan("process.spawn=fail");
    CHECK(os::spawn({{"/bin/cat"}, {}, {}, false}).status().message() ==
          "cannot start /bin/cat: Resource temporarily unavailable (errno 11)");
  }
  support::FaultPlan plan("process.pidfd=fail");
  CHECK(os::spawn({{"/bin/cat"}, {}, {}, false}).status().err() == EMFILE);
  CHECK((::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD));
}
#endif

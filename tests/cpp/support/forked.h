// forked(body): runs a function in a child process and says how the child ended.
//
// For what ends a process (failed checks, kill points) and for what a child must not have. The body
// returns the exit code; nothing of doctest may be used in it, since its results stay in the child.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace support {

struct Ended {
  int status;          // as waitpid gives it
  std::string output;  // what the child wrote to stderr

  bool exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
  bool killed(int sig) const { return WIFSIGNALED(status) && WTERMSIG(status) == sig; }
  bool said(const std::string& text) const { return output.find(text) != std::string::npos; }
};

template <class Body>
Ended forked(Body body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  std::cout.flush();  // or the child would print it again
  pid_t pid = ::fork();
  if (pid == 0) {
    // doctest's own handlers would report a death that is wanted.
    for (int sig : {SIGABRT, SIGSEGV, SIGBUS, SIGTERM}) ::signal(sig, SIG_DFL);
    ::dup2(ends[1], 2);
    ::_exit(body());
  }
  ::close(ends[1]);
  Ended ended{-1, ""};
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    ended.output.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  ::waitpid(pid, &ended.status, 0);
  return ended;
}

// Runs one test case of this very program (marked skip(), so that it runs only here) in a fresh
// process with further environment variables.
inline Ended run_alone(const char* test_case, const std::vector<std::string>& variables) {
  return forked([&] {
    for (const std::string& each : variables) ::putenv(const_cast<char*>(each.c_str()));
    ::dup2(2, 1);
    std::string filter = std::string("--test-case=") + test_case;
    ::execl("/proc/self/exe", "test", filter.c_str(), "--no-skip", static_cast<char*>(nullptr));
    return 127;
  });
}

}  // namespace support

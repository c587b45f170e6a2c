// The system calls of os/process.h.
#include "os/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "base/assert.h"
#include "base/fault.h"
#include "os/needed_call.h"

// The same numbers on every architecture; older headers lack them.
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

extern char** environ;

namespace bolide::os {
namespace {

constexpr auto kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, an enumerator in newer headers

// posix_spawn's two objects, with their destructors.
struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { posix_spawn_file_actions_init(&value); }
  ~FileActions() { posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

struct Attributes {
  posix_spawnattr_t value;
  Attributes() { posix_spawnattr_init(&value); }
  ~Attributes() { posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& each : strings) result.push_back(const_cast<char*>(each.c_str()));
  result.push_back(nullptr);
  return result;
}

int set_signals_and_group(Attributes& attributes, bool new_group) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (new_group) flags |= POSIX_SPAWN_SETPGROUP;
  int err = posix_spawnattr_setsigmask(&attributes.value, &none);
  if (err == 0) err = posix_spawnattr_setsigdefault(&attributes.value, &all);
  if (err == 0) err = posix_spawnattr_setpgroup(&attributes.value, 0);
  if (err == 0) err = posix_spawnattr_setflags(&attributes.value, static_cast<short>(flags));
  return err;
}

// Descriptors that somebody else in this process opened without close-on-exec, or that it
// inherited. One that is closed meanwhile by another thread does no harm: closing what is not open
// is ignored.
int close_strangers(FileActions& actions, const std::vector<std::pair<int, int>>& wanted) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (folder == nullptr) return 0;
  int err = 0;
  while (dirent* entry = ::readdir(folder.get())) {
    int fd = std::atoi(entry->d_name);  // 0 for "." and ".."
    if (fd <= 2 || (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) continue;
    bool is_target = std::any_of(wanted.begin(), wanted.end(),
                                 [fd](const auto& each) { return each.second == fd; });
    if (!is_target && err == 0) err = posix_spawn_file_actions_addclose(&actions.value, fd);
  }
  return err;
}

struct SignalName {
  int number;
  const char* name;
};

// sigabbrev_np does this, in newer C libraries only.
constexpr SignalName kSignalNames[] = {
    {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},       {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},
    {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"},     {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
    {SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"},     {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
    {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"},     {SIGTERM, "SIGTERM"}, {SIGXCPU, "SIGXCPU"},
    {SIGXFSZ, "SIGXFSZ"}, {SIGVTALRM, "SIGVTALRM"}, {SIGPROF, "SIGPROF"}, {SIGIO, "SIGIO"},
    {SIGPWR, "SIGPWR"},   {SIGSYS, "SIGSYS"},
};

}  // namespace

Result<Child> spawn(const SpawnSpec& spec) {
  if (spec.argv.empty()) return Status(Code::kInvalid, "cannot start a process without a program");
  std::string what = "cannot start " + spec.argv[0];
  if (BOLIDE_FAULT_FAIL("process.spawn")) return system_error(what, EAGAIN);

  // Each descriptor is first copied above every number the child wants, so that placing one can
  // never overwrite another and a dup2 onto itself (which keeps close-on-exec) cannot happen.
  int above = 3;
  for (const auto& [here, there] : spec.fds) above = std::max(above, there + 1);
  std::vector<Fd> copies;
  FileActions actions;
  int err = posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0);
  if (err == 0) err = close_strangers(actions, spec.fds);
  for (const auto& [here, there] : spec.fds) {
    if (err != 0) break;
    Fd copy(::fcntl(here, F_DUPFD_CLOEXEC, above));
    if (!copy.valid()) return system_error(what, errno);
    err = posix_spawn_file_actions_adddup2(&actions.value, copy.get(), there);
    copies.push_back(std::move(copy));
  }
  Attributes attributes;
  if (err == 0) err = set_signals_and_group(attributes, spec.new_group);
  Child child;
  if (err == 0) {
    err = posix_spawn(&child.pid, spec.argv[0].c_str(), &actions.value, &attributes.value,
                      pointers(spec.argv).data(), pointers(spec.env).data());
  }
  if (err != 0) return system_error(what, err);

  Result<Fd> pidfd = open_pidfd(child.pid);
  if (!pidfd.is_ok()) {
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return pidfd.status();
  }
  child.pidfd = pidfd.take();
  return child;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> result;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    result.emplace_back(*each);
  }
  return result;
}

pid_t own_pid() { return ::getpid(); }

void end_process(int exit_code) { ::_exit(exit_code); }

Result<Fd> open_pidfd(pid_t pid) {
  std::string what = "cannot watch process " + std::to_string(pid);
  if (BOLIDE_FAULT_FAIL("process.pidfd")) return system_error(what, EMFILE);
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));  // close-on-exec by definition
  if (fd.valid()) return fd;
  if (errno == ESRCH) return Status(Code::kNotFound, what + ": there is none", ESRCH);
  return needed_call_failed(what, "pidfd_open", errno);
}

Status send_signal(const Fd& pidfd, int sig) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), sig, nullptr, 0) == 0) return Status();
  if (errno == ESRCH) return Status(Code::kNotFound, "the process to signal has ended", ESRCH);
  return system_error("cannot send signal " + std::to_string(sig), errno);
}

bool signal_process(pid_t pid, int sig) { return pid > 1 && ::kill(pid, sig) == 0; }

bool kill_group(pid_t pgid, int sig) {
  return pgid > 1 && ::kill(-pgid, sig) == 0;
}

std::optional<int> reap(const Fd& pidfd) {
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(kPidfd, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    // Not our child, or reaped by somebody else. A pidfd is readable once its process has ended.
    pollfd item{pidfd.get(), POLLIN, 0};
    if (::poll(&item, 1, 0) == 0) return std::nullopt;
    return -1;
  }
  if (info.si_pid == 0) return std::nullopt;
  switch (info.si_code) {
    case CLD_EXITED:
      return (info.si_status & 0xff) << 8;
    case CLD_DUMPED:
      return info.si_status | 0x80;
    default:
      return info.si_status;
  }
}

std::string describe_exit(int wait_status) {
  if (wait_status < 0) return "status unknown";
  if (WIFEXITED(wait_status)) return "exit code " + std::to_string(WEXITSTATUS(wait_status));
  if (!WIFSIGNALED(wait_status)) return "status unknown";
  int sig = WTERMSIG(wait_status);
  std::string text = "killed by signal " + std::to_string(sig);
  const auto* known = std::find_if(std::begin(kSignalNames), std::end(kSignalNames),
                                   [sig](const SignalName& each) { return each.number == sig; });
  if (known != std::end(kSignalNames)) text += std::string(" (") + known->name + ")";
  return text;
}

uint64_t private_memory(pid_t pid) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/statm", static_cast<int>(pid));
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t size = file.valid() ? ::read(file.get(), text, sizeof text - 1) : 0;
  if (size <= 0) return 0;
  text[size] = '\0';
  unsigned long resident = 0;
  unsigned long shared = 0;
  if (std::sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 || shared > resident) return 0;
  return uint64_t{resident - shared} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace bolide::os

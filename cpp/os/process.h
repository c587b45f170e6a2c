// Processes: starting one, signalling it, learning how it ended. Always by pidfd, or by the pid
// of a process whose end has not been reaped, so that the kernel cannot have given it to another.
//
// Forking Python workers is not here: that is the template process's business (node).
//
// Thread safety: all functions from any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

struct SpawnSpec {
  std::vector<std::string> argv;         // argv[0] is the path of the program, not searched for
  std::vector<std::string> env;          // all of it, "NAME=value"; see current_environment()
  std::vector<std::pair<int, int>> fds;  // descriptor here -> its number in the child
  bool new_group = false;                // leader of a process group of its own
};

struct Child {
  pid_t pid = -1;
  Fd pidfd;
};

// Starts a program. The child has /dev/null as stdin (unless fds says otherwise), our stdout and
// stderr, the descriptors named and no others, an empty signal mask and every signal at its
// default.
BOLIDE_API Result<Child> spawn(const SpawnSpec& spec);

// This process's environment in the form that SpawnSpec wants.
BOLIDE_API std::vector<std::string> current_environment();

// This process's number, and its end without any clean-up.
BOLIDE_API pid_t own_pid();
[[noreturn]] BOLIDE_API void end_process(int exit_code);

// Any process, child or not. kNotFound when there is none of that number.
BOLIDE_API Result<Fd> open_pidfd(pid_t pid);

// kNotFound when the process is gone already.
BOLIDE_API Status send_signal(const Fd& pidfd, int sig);

// Signals one process; false when there is none of that number.
BOLIDE_API bool signal_process(pid_t pid, int sig);

// Signals every process of a group; false when there is none (left) or the number is no group of
// ours to signal (0 and 1 would mean ourselves and everybody).
BOLIDE_API bool kill_group(pid_t pgid, int sig);

// The wait status of an ended process as waitpid gives it, nullopt while it lives, -1 when it ended
// but is not (or no longer) ours to ask. A child is reaped by this.
BOLIDE_API std::optional<int> reap(const Fd& pidfd);

// Bytes of memory of that process which no file and no shared memory backs: its RSS without what
// others may have mapped too. 0 when there is none of that number.
BOLIDE_API uint64_t private_memory(pid_t pid);

// "killed by signal 9 (SIGKILL)", "exit code 3", "status unknown".
BOLIDE_API std::string describe_exit(int wait_status);

}  // namespace bolide::os

// os_processes: processes of the simulated machine, in place of the core's os/process.cpp. The one
// program that can be spawned is the template process. A pidfd is a descriptor of an event.
#include <fcntl.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "node/template_link.h"
#include "os/process.h"
#include "simulated/machine.h"
#include "simulated/template.h"

using simulator::Machine;
using simulator::Process;

namespace bolide::os {

Result<Child> spawn(const SpawnSpec& spec) {
  Machine& machine = Machine::here();
  Fd socket;
  for (const auto& [here, there] : spec.fds) {
    if (there == node::TemplateLink::kSocketFd) socket.reset(::fcntl(here, F_DUPFD_CLOEXEC, 0));
  }
  Process& process = simulator::start_template(machine, std::move(socket));
  auto pidfd = process.end_event.dup();
  if (!pidfd.is_ok()) return pidfd.status();
  process.pidfd = pidfd->get();
  return Child{process.pid, pidfd.take()};
}

pid_t own_pid() {
  return Machine::here().process().pid;
}

void end_process(int exit_code) {
  Machine& machine = Machine::here();
  machine.end_if_dead();
  if (machine.may_give_up) {
    machine.kill(machine.process(), exit_code << 8);
    machine.end_if_dead();
  }
  simulator::fail("%s gave up with exit code %d", Machine::here().process().name.c_str(),
                  exit_code);
}

std::vector<std::string> current_environment() {
  return {};
}

Result<Fd> open_pidfd(pid_t pid) {
  Process* process = Machine::here().find_process(pid);
  if (process == nullptr || process->main == nullptr) {
    return Status(Code::kNotFound, "there is no such process", ESRCH);
  }
  return process->end_event.dup();
}

namespace {
Process* find_by_pidfd(const Fd& pidfd) {
  const auto& all = Machine::here().processes();
  for (size_t i = all.size(); i-- > 0;) {
    if (all[i]->pidfd == pidfd.get()) return all[i].get();
  }
  return nullptr;
}
}  // namespace

Status send_signal(const Fd& pidfd, int sig) {
  Process* process = find_by_pidfd(pidfd);
  if (process == nullptr || !process->alive) return Status(Code::kNotFound, "it has ended", ESRCH);
  Machine::here().kill(*process, sig);
  return Status();
}

bool signal_process(pid_t pid, int) {
  Process* process = Machine::here().find_process(pid);
  if (process == nullptr || !process->alive) return false;
  process->signalled = true;
  return true;
}

bool kill_group(pid_t pgid, int sig) {
  Process* process = Machine::here().find_process(pgid);
  if (process == nullptr || !process->alive) return false;
  Machine::here().kill(*process, sig);
  return true;
}

std::optional<int> reap(const Fd& pidfd) {
  const Process* process = find_by_pidfd(pidfd);
  if (process == nullptr || process->main != nullptr) return std::nullopt;
  return process->status;
}

uint64_t private_memory(pid_t) {
  return 0;
}
std::string describe_exit(int wait_status) {
  return "status " + std::to_string(wait_status);
}

}  // namespace bolide::os

#include "node/template_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "os/event.h"
#include "os/fd_passing.h"

namespace bolide::node {
namespace {

sigset_t child_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

}  // namespace

Result<std::unique_ptr<TemplateServer>> TemplateServer::open() {
  auto server = std::make_unique<TemplateServer>();
  // The originals are not close-on-exec, since they came through an exec.
  for (auto [number, fd] : {std::pair{TemplateLink::kSocketFd, &server->socket_},
                            std::pair{TemplateLink::kOwnerFd, &server->owner_}}) {
    auto copy = os::Fd(number).dup();
    if (!copy.is_ok()) return copy.status().clone();
    *fd = copy.take();
  }
  const sigset_t set = child_signal();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  server->signals_ = os::Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!server->signals_.valid()) return system_error("making a signal descriptor", errno);
  return server;
}

bool TemplateServer::next(ForkOrder* order) {
  for (;;) {
    pollfd items[] = {{socket_.get(), POLLIN, 0},
                      {signals_.get(), POLLIN, 0},
                      {owner_.get(), POLLIN, 0}};
    if (os::poll_fds(items, 3, -1) < 0) continue;
    if (items[1].revents != 0) reap();
    if (items[2].revents != 0) break;
    if (items[0].revents == 0) continue;
    ForkRequest request{};
    std::vector<os::Fd> fds;
    auto size = os::receive_message(socket_.get(),
                                    std::as_writable_bytes(std::span(&request, 1)), fds, false);
    if (!size.is_ok()) {
      if (size.status().code() == Code::kFull) continue;
      break;
    }
    if (*size != sizeof request || fds.size() != kForkFds) break;
    order->worker = request.worker;
    order->settings_bytes = request.settings_bytes;
    order->descriptors.link = std::move(fds[0]);
    order->descriptors.socket = std::move(fds[1]);
    order->descriptors.bell = std::move(fds[2]);
    order->descriptors.waiter_event = std::move(fds[3]);
    order->descriptors.supervisor_event = std::move(fds[4]);
    order->descriptors.attention_event = std::move(fds[5]);
    order->settings = std::move(fds[6]);
    return true;
  }
  end_children();
  return false;
}

void TemplateServer::forked(uint32_t worker, pid_t pid) {
  BOLIDE_FAULT_AT("template.forked");
  setpgid(pid, pid);  // the child does the same: whoever comes first
  children_[pid] = worker;
  report({TemplateEvent::kForked, worker, pid, 0});
}

void TemplateServer::fork_failed(uint32_t worker, int error) {
  report({TemplateEvent::kForkFailed, worker, 0, error});
}

os::Fd TemplateServer::in_child() {
  setpgid(0, 0);
  const sigset_t set = child_signal();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  socket_.reset();
  signals_.reset();
  children_.clear();
  return std::move(owner_);
}

void TemplateServer::report(const TemplateMessage& message) {
  // The node may be slow to read; a lost report would leave it waiting for a dead worker.
  for (;;) {
    const Status sent =
        os::send_message(socket_.get(), std::as_bytes(std::span(&message, 1)), {});
    if (sent.is_ok() || sent.code() != Code::kFull) return;
    pollfd item{socket_.get(), POLLOUT, 0};
    os::poll_fds(&item, 1, kSecond);
  }
}

void TemplateServer::reap() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) > 0) {
  }
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    auto it = children_.find(pid);
    if (it == children_.end()) continue;
    const uint32_t worker = it->second;
    children_.erase(it);
    report({TemplateEvent::kExited, worker, pid, status});
  }
}

void TemplateServer::end_children() {
  for (const auto& [pid, worker] : children_) {
    if (kill(-pid, SIGKILL) != 0) kill(pid, SIGKILL);
  }
  while (!children_.empty()) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid > 0) {
      children_.erase(pid);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace bolide::node

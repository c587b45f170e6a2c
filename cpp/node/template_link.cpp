#include "node/template_link.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "base/clock.h"
#include "os/event.h"
#include "os/fd_passing.h"

namespace bolide::node {

Status TemplateLink::start(const Command& command, int stdout_fd, int stderr_fd) {
  auto sockets = os::socket_pair();
  if (!sockets.is_ok()) return sockets.status().clone();
  auto owner = os::open_pidfd(os::own_pid());
  if (!owner.is_ok()) return owner.status().clone();
  os::SpawnSpec spec;
  spec.argv = command.argv;
  spec.env = command.env;
  spec.new_group = true;
  spec.fds = {{sockets->second.get(), kSocketFd},
              {owner->get(), kOwnerFd},
              {stdout_fd, STDOUT_FILENO},
              {stderr_fd, STDERR_FILENO}};
  auto child = os::spawn(spec);
  if (!child.is_ok()) return child.status().clone();
  child_ = child.take();
  socket_ = std::move(sockets->first);
  return Status();
}

Status TemplateLink::request_fork(uint32_t worker, uint32_t settings_bytes,
                                  const int (&fds)[kForkFds]) {
  const ForkRequest request{worker, settings_bytes};
  return os::send_message(socket_.get(), std::as_bytes(std::span(&request, 1)), fds);
}

std::optional<TemplateMessage> TemplateLink::receive(bool* closed) {
  TemplateMessage message{};
  std::vector<os::Fd> fds;
  auto size = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&message, 1)),
                                  fds, false);
  if (!size.is_ok()) {
    *closed = size.status().code() != Code::kFull;
    return std::nullopt;
  }
  if (*size != sizeof message) {
    *closed = true;
    return std::nullopt;
  }
  return message;
}

void TemplateLink::stop(int64_t deadline) {
  if (!running()) return;
  socket_.reset();
  pollfd item{child_.pidfd.get(), POLLIN, 0};
  while (!os::reap(child_.pidfd).has_value()) {
    const Nanos left = deadline - now();
    if (left <= 0) {
      // The group holds the template only; workers lead groups of their own.
      static_cast<void>(os::send_signal(child_.pidfd, SIGKILL));
      os::poll_fds(&item, 1, kSecond);
      os::reap(child_.pidfd);
      break;
    }
    os::poll_fds(&item, 1, left);
  }
  child_ = os::Child{};
}

std::string TemplateLink::lost() {
  // Its end of the socket closes a moment before it can be reaped.
  static_cast<void>(os::send_signal(child_.pidfd, SIGKILL));
  pollfd item{child_.pidfd.get(), POLLIN, 0};
  os::poll_fds(&item, 1, kSecond);
  const auto status = os::reap(child_.pidfd);
  child_ = os::Child{};
  socket_.reset();
  return os::describe_exit(status.value_or(-1));
}

}  // namespace bolide::node

// template_link: the node's side of the template process, which forks the workers: the messages
// between the two and the process's life. docs/protocol.md tells the exchange.
//
// Thread safety: the node's lock guards it, except fd() and pidfd(), which the supervisor polls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"
#include "os/process.h"

namespace bolide::node {

// node -> template: fork a worker. Descriptors: link, socket, bell page, two bells, the event that
// asks for attention, settings.
struct ForkRequest {
  uint32_t worker;
  uint32_t settings_bytes;
};
inline constexpr size_t kForkFds = 7;

// template -> node.
enum class TemplateEvent : uint32_t { kForked = 1, kForkFailed = 2, kExited = 3 };
struct TemplateMessage {
  TemplateEvent event;
  uint32_t worker;
  int32_t pid;
  int32_t status;  // wait status, or errno of the fork
};

class BOLIDE_API TemplateLink {
 public:
  // How to start the template: argv and environment; the socket and the owner's pidfd become
  // descriptors 3 and 4 in it, the two output pipes its stdout and stderr.
  struct Command {
    std::vector<std::string> argv;
    std::vector<std::string> env;
  };
  static constexpr int kSocketFd = 3;
  static constexpr int kOwnerFd = 4;

  Status start(const Command& command, int stdout_fd, int stderr_fd);
  bool running() const { return child_.pid > 0; }
  pid_t pid() const { return child_.pid; }
  int fd() const { return socket_.get(); }
  int pidfd() const { return child_.pidfd.get(); }

  Status request_fork(uint32_t worker, uint32_t settings_bytes, const int (&fds)[kForkFds]);
  // receive gives the next message, nullopt when there is none; sets `closed` at end of file.
  std::optional<TemplateMessage> receive(bool* closed);

  // stop hangs up: the template kills its workers, reaps them and ends. Waits for that, at most
  // until `deadline`, then kills it.
  void stop(int64_t deadline);
  // lost: it has died by itself; reaps it and closes what belonged to it.
  std::string lost();

 private:
  os::Child child_;
  os::Fd socket_;
};

}  // namespace bolide::node

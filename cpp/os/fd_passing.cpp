// The system calls of os/fd_passing.h.
#include "os/fd_passing.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/fault.h"
#include "os/event.h"

namespace bolide::os {
namespace {

// Room for the control message that carries the descriptors, aligned as the kernel wants it.
union ControlBuffer {
  cmsghdr alignment;
  char bytes[CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))];
};

Status io_error(const char* what, int err) {
  switch (err) {
    case EAGAIN:
    case ENOBUFS:
      return Status(Code::kFull, std::string(what) + ": the socket is not ready", err);
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
      return Status(Code::kClosed, std::string(what) + ": the peer is gone", err);
    case EINTR:
      return Status(Code::kInterrupted, std::string(what) + ": interrupted by a signal", err);
    default:
      return system_error(what, err);
  }
}

}  // namespace

Result<std::pair<Fd, Fd>> socket_pair() {
  int ends[2] = {-1, -1};
  int made = BOLIDE_FAULT_FAIL("socket.create")
                 ? (errno = EMFILE, -1)
                 : ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
  if (made != 0) return system_error("cannot create a pair of sockets", errno);
  return std::pair<Fd, Fd>(Fd(ends[0]), Fd(ends[1]));
}

Status send_message(int sock, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (bytes.empty()) return Status(Code::kInvalid, "a message needs at least one byte");
  if (fds.size() > kMaxFdsPerMessage) {
    return Status(Code::kInvalid, "a message carries at most " + std::to_string(kMaxFdsPerMessage) +
                                      " descriptors, not " + std::to_string(fds.size()));
  }
  if (BOLIDE_FAULT_FAIL("socket.send")) return io_error("cannot send a message", EAGAIN);

  // sendmsg only reads from the buffer; its type cannot say so.
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  if (!fds.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Status();
  if (errno == EMSGSIZE) {
    return Status(Code::kInvalid,
                  "a message of " + std::to_string(bytes.size()) + " bytes is too long", EMSGSIZE);
  }
  return io_error("cannot send a message", errno);
}

Result<size_t> receive_message(int sock, std::span<std::byte> bytes, std::vector<Fd>& fds,
                               bool wait) {
  fds.clear();
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  ControlBuffer control{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got;
  // Waiting is poll_fds's, the one place where a thread waits for descriptors.
  while ((got = ::recvmsg(sock, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) < 0 && wait &&
         errno == EAGAIN) {
    pollfd item{sock, POLLIN, 0};
    if (poll_fds(&item, 1, -1) < 0) return io_error("cannot receive a message", EINTR);
  }
  if (got < 0) return io_error("cannot receive a message", errno);

  // Owned before anything else is looked at, so that no path below leaks one.
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    fds.clear();
    return Status(Code::kCorrupt,
                  (message.msg_flags & MSG_TRUNC) != 0
                      ? "a message did not fit into " + std::to_string(bytes.size()) + " bytes"
                      : "the descriptors of a message did not fit: more than " +
                            std::to_string(kMaxFdsPerMessage) +
                            ", or this process has no descriptor left");
  }
  if (got == 0) return Status(Code::kClosed, "cannot receive a message: the peer is gone");
  return static_cast<size_t>(got);
}

}  // namespace bolide::os

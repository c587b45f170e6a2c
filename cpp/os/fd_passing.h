// Messages with descriptors between processes, over a pair of SEQPACKET sockets.
//
// A message arrives whole or not at all. Empty messages cannot be sent, since they would look like
// the end. Sending never blocks and never raises SIGPIPE.
//
// Thread safety: the kernel orders messages; one reader and one writer a socket is the intended
// use.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

inline constexpr size_t kMaxFdsPerMessage = 16;

BOLIDE_API Result<std::pair<Fd, Fd>> socket_pair();

// The descriptors are copied: the sender keeps its own. kFull: the peer does not read fast enough;
// kClosed: the peer is gone; kInvalid: empty, too long or too many descriptors.
BOLIDE_API Status send_message(int sock, std::span<const std::byte> bytes,
                               std::span<const int> fds);

// Fills `bytes` and returns the message's length; `fds` is replaced by what came along. kFull:
// nothing there and !wait; kInterrupted: a signal handler ran; kClosed: the peer is gone; kCorrupt:
// message or descriptors did not fit (what had arrived is closed).
BOLIDE_API Result<size_t> receive_message(int sock, std::span<std::byte> bytes,
                                          std::vector<Fd>& fds, bool wait);

}  // namespace bolide::os

// link: the memory that the node and one client share: a page of constants, then two rings.
//
//   offset 0                  LinkHeader, written once by the node before the client exists
//   kTaskRingOffset           ring node -> client ("tasks")
//   kReplyRingOffset          ring client -> node ("replies")
//
// It is one memfd without a name. Rings do not grow: what is larger than a quarter of one
// travels through the store as a jumbo record (docs/decisions/0002).
#pragma once

#include <cstdint>

#include "ipc/ring.h"

namespace bolide::ipc {

// A message in the socket beside the link, without a descriptor: look at the ring.
inline constexpr uint32_t kWakeMessage = 0;
inline constexpr uint32_t kLinkMagic = 0x626c6c6b;
inline constexpr uint32_t kLinkVersion = 1;
inline constexpr uint64_t kRingCapacity = 128 * 1024;
inline constexpr uint64_t kLinkHeaderSize = 4096;

struct LinkHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t worker;
  uint32_t client;
  int64_t node_pid;
  int64_t spin_ns;       // how long a client polls its ring before it sleeps
  uint64_t inline_limit; // values of at most this many bytes travel in records
  uint64_t session;      // random, to tell sessions apart
  uint64_t soft_fds;     // RLIMIT_NOFILE of the driver before it was raised; 0: not raised
};
static_assert(sizeof(LinkHeader) == 56);

constexpr uint64_t ring_bytes() { return (sizeof(RingControl) + kRingCapacity + 63) & ~63ull; }
inline constexpr uint64_t kTaskRingOffset = kLinkHeaderSize;
inline constexpr uint64_t kReplyRingOffset = kTaskRingOffset + ring_bytes();
inline constexpr uint64_t kLinkSize =
    (kReplyRingOffset + ring_bytes() + 4095) & ~uint64_t{4095};

}  // namespace bolide::ipc

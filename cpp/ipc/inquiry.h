// inquiry: how another process of the same user asks a running node what it holds (`bolide memory`).
//
// Nothing has a name and nothing listens: the node keeps a pipe, and its number is in the bell page.
// Who may open /proc/PID/fd of the driver's process - its user, and root - finds both there, writes
// one InquiryRecord into the pipe (in one write, which pipes keep whole) and names a memfd of its
// own. The node writes the report into that: the text from byte 8 on, and then, in the first 8
// bytes, how long it is.
#pragma once

#include <cstdint>

namespace bolide::ipc {

inline constexpr uint32_t kInquiryMagic = 0x626c6971;
inline constexpr uint64_t kReportText = 8;  // where the text begins

struct InquiryRecord {
  uint32_t magic;
  uint32_t version;  // 1
  int32_t pid;       // of the asker
  int32_t memfd;     // its descriptor there
  uint64_t limit;    // how many objects are told of, the largest ones
};
static_assert(sizeof(InquiryRecord) == 24);

}  // namespace bolide::ipc

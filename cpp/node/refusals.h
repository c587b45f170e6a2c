// refusals: the two errors that several parts of the node give.
#pragma once

#include <string>

#include "base/status.h"

namespace bolide::node {

inline Status closed_status() {
  return Status(Code::kClosed, "the runtime was shut down; call bolide.init() to start a new one");
}

// malformed: a record that cannot be. Its worker is killed.
inline Status malformed(const char* what) {
  return Status(Code::kCorrupt, std::string("a worker sent a malformed record: ") + what);
}

}  // namespace bolide::node

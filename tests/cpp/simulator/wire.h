// wire: putting records together, piece by piece, each padded to 8 bytes.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "ipc/ring.h"

namespace simulator {

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const size_t at = to.size();
  to.resize(at + bolide::ipc::align8(sizeof value));
  std::memcpy(to.data() + at, &value, sizeof value);
}

inline void append_ids(std::vector<std::byte>& to, std::span<const uint64_t> ids) {
  const size_t at = to.size();
  to.resize(at + ids.size_bytes());
  if (!ids.empty()) std::memcpy(to.data() + at, ids.data(), ids.size_bytes());
}

}  // namespace simulator

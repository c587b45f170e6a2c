// system_error: an error that the core itself gives as the value of an object (a dead worker, a
// lost object). The binding turns it into the exception of that name.
//
// Wire form of the value: SystemErrorKind (uint32), reserved (uint32), UTF-8 sentence.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bolide::node {

enum class SystemErrorKind : uint32_t {
  kWorkerCrashed = 1,
  kObjectLost = 2,
  kRaySystem = 3,
  kRuntimeEnvSetup = 4,
  kObjectStoreFull = 5,
  kTaskCancelled = 6,
  kUnschedulable = 7,
};

inline std::string encode_system_error(SystemErrorKind kind, std::string_view text) {
  const uint32_t head[2] = {static_cast<uint32_t>(kind), 0};
  std::string out(sizeof head + text.size(), '\0');
  std::memcpy(out.data(), head, sizeof head);
  std::memcpy(out.data() + sizeof head, text.data(), text.size());
  return out;
}

}  // namespace bolide::node

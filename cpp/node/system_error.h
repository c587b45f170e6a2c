// system_error: an error that the core itself gives as the value of an object (a dead worker, a
// lost object). The binding turns it into the exception of that name.
//
// Wire form of the value: SystemErrorKind (uint32), reserved (uint32), UTF-8 sentence; for actors
// the actor's id (uint64) comes before the sentence.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bolide::node {

enum class SystemErrorKind : uint32_t {
  kWorkerCrashed = 1,
  kObjectLost = 2,
  kRaySystem = 3,
  kRuntimeEnvSetup = 4,
  kObjectStoreFull = 5,
  kTaskCancelled = 6,
  kUnschedulable = 7,
  kEndOfStream = 8,
  kOutOfDisk = 9,
  kOutOfMemory = 10,
  kTaskGroupRemoved = 11,
  kActorDied = 16,
  kActorUnavailable = 17,
  kActorUnschedulable = 18,
  kActorInitFailed = 19,  // the constructor raised: its error as the binding packs it, no sentence
  kActorOutOfMemory = 20,
  kActorRuntimeEnv = 21,  // its environment could not be set up
  kActorGroupRemoved = 22,
};

inline std::string encode_system_error(SystemErrorKind kind, std::string_view text) {
  const uint32_t head[2] = {static_cast<uint32_t>(kind), 0};
  std::string out(sizeof head + text.size(), '\0');
  std::memcpy(out.data(), head, sizeof head);
  std::memcpy(out.data() + sizeof head, text.data(), text.size());
  return out;
}

inline std::string encode_actor_error(SystemErrorKind kind, uint64_t actor, std::string_view text) {
  std::string with_id(sizeof actor, '\0');
  std::memcpy(with_id.data(), &actor, sizeof actor);
  return encode_system_error(kind, with_id.append(text));
}

// system_error_text is the sentence of such a value.
inline std::string_view system_error_text(std::string_view value) {
  uint32_t kind = 0;
  if (value.size() < 2 * sizeof kind) return "?";
  std::memcpy(&kind, value.data(), sizeof kind);
  const size_t head = kind < static_cast<uint32_t>(SystemErrorKind::kActorDied) ? 8 : 16;
  return value.size() < head ? "?" : value.substr(head);
}

// What such a value means as the outcome of a call: no room (kFull, kDiskFull), lost (kNotFound).
inline Status decode_system_error(std::string_view value) {
  uint32_t kind = 0;
  if (value.size() >= sizeof kind) std::memcpy(&kind, value.data(), sizeof kind);
  Code code = Code::kSystem;
  switch (static_cast<SystemErrorKind>(kind)) {
    case SystemErrorKind::kObjectStoreFull:
      code = Code::kFull;
      break;
    case SystemErrorKind::kOutOfDisk:
      code = Code::kDiskFull;
      break;
    case SystemErrorKind::kObjectLost:
      code = Code::kNotFound;
      break;
    default:
      break;
  }
  return Status(code, std::string(system_error_text(value)));
}

}  // namespace bolide::node

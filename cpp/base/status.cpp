// The failing side of base/status.h. Thread safety: pure functions.
#include "base/status.h"

#include <system_error>

namespace bolide {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "Ok";
    case Code::kTimeout:
      return "Timeout";
    case Code::kInterrupted:
      return "Interrupted";
    case Code::kFull:
      return "Full";
    case Code::kNotFound:
      return "NotFound";
    case Code::kInvalid:
      return "Invalid";
    case Code::kClosed:
      return "Closed";
    case Code::kCorrupt:
      return "Corrupt";
    case Code::kSystem:
      return "System";
    case Code::kExists:
      return "Exists";
    case Code::kLimit:
      return "Limit";
    case Code::kDiskFull:
      return "DiskFull";
  }
  return "Unknown";
}

Status::Status(Code code, std::string message, int err)
    : detail_(code == Code::kOk ? nullptr
                                : std::make_unique<Detail>(Detail{code, err, std::move(message)})) {
}

const std::string& Status::message() const& noexcept {
  static const std::string empty;
  return detail_ ? detail_->message : empty;
}

Status Status::clone() const {
  return detail_ ? Status(detail_->code, detail_->message, detail_->err) : Status();
}

Status system_error(std::string_view what, int err) {
  // generic_category is the thread-safe spelling of strerror.
  return Status(Code::kSystem,
                std::string(what) + ": " + std::generic_category().message(err) + " (errno " +
                    std::to_string(err) + ")",
                err);
}

}  // namespace bolide

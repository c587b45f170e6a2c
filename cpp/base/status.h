// Status and Result: how every function of the core reports what went wrong. Nothing throws.
//
// Status is one pointer that is null when all is well, so success costs nothing. A failure carries
// a code for programs, a sentence for people (subject, value, limit, next step) and, where the
// operating system refused, its errno. Both types are move only; clone() is the explicit copy.
//
// Thread safety: none of its own; a value belongs to one thread at a time.
// Invariants: a Status with code kOk has no message; a Result holds a value or a failed Status.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/api.h"
#include "base/assert.h"

namespace bolide {

enum class Code : uint8_t {
  kOk,
  kTimeout,      // the time given was not enough
  kInterrupted,  // a signal arrived: look at it and call again
  kFull,         // no room now; may succeed later
  kNotFound,     // the thing named does not exist (any more)
  kInvalid,      // the caller asked for something that can never work
  kClosed,       // the other side is gone
  kCorrupt,      // bytes from another process break the format
  kSystem,       // the operating system refused; err() has its reason
  kExists,       // the name is taken
  kLimit,        // more than the caller allowed himself
  kDiskFull,     // no room on the disk for what memory cannot hold
};

// The name of a code as it is written above, without the k: "Timeout".
BOLIDE_API const char* code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  BOLIDE_API Status(Code code, std::string message, int err = 0);

  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;

  bool is_ok() const noexcept { return detail_ == nullptr; }
  Code code() const noexcept { return detail_ ? detail_->code : Code::kOk; }
  int err() const noexcept { return detail_ ? detail_->err : 0; }
  BOLIDE_API const std::string& message() const& noexcept;
  std::string message() && { return static_cast<const Status&>(*this).message(); }

  BOLIDE_API Status clone() const;

 private:
  struct Detail {
    Code code;
    int err;
    std::string message;
  };
  std::unique_ptr<Detail> detail_;
};

// A kSystem failure that reads "what: No such file or directory (errno 2)".
BOLIDE_API Status system_error(std::string_view what, int err);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<1>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {
    BOLIDE_CHECK(!std::get<0>(state_).is_ok(), "a Result without a value needs a failed Status");
  }

  bool is_ok() const noexcept { return state_.index() == 1; }

  // By value, so that `return result.status();` works; the copy is paid only on failure.
  Status status() const { return is_ok() ? Status() : std::get_if<0>(&state_)->clone(); }

  T& value() & { return *checked(this); }
  const T& value() const& { return *checked(this); }
  T&& value() && { return std::move(*checked(this)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return checked(this); }
  const T* operator->() const { return checked(this); }

  // Moves the value out; the Result may only be destroyed or assigned afterwards.
  T take() { return std::move(*checked(this)); }

 private:
  template <class Self>
  static auto checked(Self* self) {
    BOLIDE_CHECK(self->is_ok(), "the value of a failed Result was used");
    return std::get_if<1>(&self->state_);
  }

  std::variant<Status, T> state_;
};

}  // namespace bolide

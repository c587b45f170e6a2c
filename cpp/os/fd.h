// Fd: a file descriptor with one owner, closed when the owner goes.
//
// Every descriptor of ours is close-on-exec from birth, so that no child of the user's code
// inherits one.
//
// Thread safety: as an int; an Fd belongs to one thread at a time.
// Invariants: value -1 or an open descriptor that nobody else closes.
#pragma once

#include <utility>

#include "base/api.h"
#include "base/status.h"

namespace bolide::os {

class BOLIDE_API Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  ~Fd() { reset(); }

  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }

  // Gives the descriptor away without closing it.
  int release() noexcept { return std::exchange(fd_, -1); }

  // Closes what is held, then owns `fd`.
  void reset(int fd = -1) noexcept;

  // A second descriptor for the same open file, close-on-exec.
  Result<Fd> dup() const;

 private:
  int fd_ = -1;
};

}  // namespace bolide::os

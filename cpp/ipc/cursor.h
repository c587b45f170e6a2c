// cursor: reading and writing the variable parts of a record within its bounds.
//
// A Reader never reads beyond what it was given, whatever the record claims: after a short
// read every further read gives zeroes and ok() is false. A Writer writes into room that the
// caller has measured (see size helpers in records.h users).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ipc/ring.h"

namespace bolide::ipc {

class Reader {
 public:
  Reader(const std::byte* data, uint64_t size) : at_(data), left_(size) {}

  template <class T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T out{};
    if (const std::byte* p = bytes(sizeof(T))) std::memcpy(&out, p, sizeof(T));
    return out;
  }

  // bytes returns `size` bytes and steps to the next multiple of 8; nullptr when short.
  const std::byte* bytes(uint64_t size) {
    const uint64_t padded = size > left_ ? left_ + 1 : align8(size);
    if (padded > left_) {
      // The last part of a record may lack its padding when it comes from outside a ring.
      if (size > left_) {
        ok_ = false;
        left_ = 0;
        return nullptr;
      }
      const std::byte* out = at_;
      at_ += left_;
      left_ = 0;
      return out;
    }
    const std::byte* out = at_;
    at_ += padded;
    left_ -= padded;
    return out;
  }

  // ids returns the place of `count` 64-bit ids; nullptr when there are fewer (or none asked).
  const uint64_t* ids(uint64_t count) {
    if (count > left_ / sizeof(uint64_t)) {
      ok_ = false;
      left_ = 0;
      return nullptr;
    }
    return reinterpret_cast<const uint64_t*>(bytes(count * sizeof(uint64_t)));
  }

  bool ok() const { return ok_; }
  uint64_t left() const { return left_; }

 private:
  const std::byte* at_;
  uint64_t left_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(std::byte* to) : at_(to) {}

  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes(&value, sizeof(T));
  }

  void bytes(const void* data, uint64_t size) {
    if (size != 0) std::memcpy(at_, data, size);
    at_ += align8(size);
  }

  std::byte* skip(uint64_t size) {
    std::byte* out = at_;
    at_ += align8(size);
    return out;
  }

 private:
  std::byte* at_;
};

}  // namespace bolide::ipc

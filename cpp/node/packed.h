// packed: reading a value that a binding has packed without padding, little-endian.
//
// Thread safety: none; one reader, one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace bolide::node {

class Packed {
 public:
  Packed(const std::byte* data, uint64_t size) : at_(data), left_(size) {}

  template <class T>
  bool take(T* out) {
    if (left_ < sizeof(T)) return false;
    std::memcpy(out, at_, sizeof(T));
    skip(sizeof(T));
    return true;
  }
  bool text(uint32_t length, std::string* out) {
    if (left_ < length) return false;
    out->assign(reinterpret_cast<const char*>(at_), length);
    skip(length);
    return true;
  }
  bool text(std::string* out) {
    uint32_t length = 0;
    return take(&length) && text(length, out);
  }

 private:
  void skip(uint64_t size) {
    at_ += size;
    left_ -= size;
  }

  const std::byte* at_;
  uint64_t left_;
};

}  // namespace bolide::node

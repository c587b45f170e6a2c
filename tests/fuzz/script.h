// script: records as a fuzz input holds them: type (uint16), size of the payload (uint16), payload.
// A target sends them as they are, so what is wrong in them is wrong in the ring.
#pragma once

#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "fuzz/target.h"
#include "ipc/records.h"
#include "ipc/ring.h"

namespace fuzz {

// Script puts a valid input together, for seeds.
class Script {
 public:
  explicit Script(uint8_t scene) { bytes_.assign(8, scene); }

  // record adds one; each part is padded to 8 as cursor.h's Writer does.
  template <class... Parts>
  Script& record(bolide::ipc::RecordType type, const Parts&... parts) {
    const size_t at = bytes_.size();
    bytes_.resize(at + 4);
    (add(parts), ...);
    const auto number = static_cast<uint16_t>(type);
    const auto size = static_cast<uint16_t>(bytes_.size() - at - 4);
    std::memcpy(bytes_.data() + at, &number, 2);
    std::memcpy(bytes_.data() + at + 2, &size, 2);
    return *this;
  }
  operator Bytes() const { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  template <class T>
  void add(const T& part) {
    if constexpr (std::is_convertible_v<T, std::string_view>) {
      put(std::string_view(part).data(), std::string_view(part).size());
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      put(&part, sizeof part);
    }
  }
  void put(const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(bytes_.size() + (bolide::ipc::align8(size) - size));
  }

  Bytes bytes_;
};

struct ScriptedRecord {
  uint16_t type;
  const uint8_t* payload;
  size_t size;
};

// parse gives the records of an input, whose first byte (of 8) names the scene; what is short at
// the end is as short as it is.
inline std::vector<ScriptedRecord> parse(const uint8_t* data, size_t size) {
  std::vector<ScriptedRecord> records;
  for (size_t at = 8; at + 4 <= size;) {
    ScriptedRecord record{};
    uint16_t length;
    std::memcpy(&record.type, data + at, 2);
    std::memcpy(&length, data + at + 2, 2);
    at += 4;
    record.payload = data + at;
    record.size = length < size - at ? length : size - at;
    at += record.size;
    records.push_back(record);
  }
  return records;
}

}  // namespace fuzz

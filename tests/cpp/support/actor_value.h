// actor_value: the value of an actor's object as the binding makes it (node/actor_spec.h).
#pragma once

#include <string>
#include <string_view>

#include "node/actor_spec.h"

namespace support {

// actor_value is that of class "A", with the method "m" and one call at a time.
inline std::string actor_value(const bolide::node::SpecHeader& header, std::string_view key) {
  std::string value;
  const auto put = [&](const auto& part) {
    value.append(reinterpret_cast<const char*>(&part), sizeof part);
  };
  put(uint32_t{1});
  value += "A";
  put(header);
  put(uint32_t{1});  // the default group's limit
  value += key;
  put(uint32_t{1});
  return value += "m";
}

}  // namespace support

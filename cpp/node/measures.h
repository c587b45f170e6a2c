// measures: numbers that programs keep by name (util.metrics), summed up over all processes. What
// a name means is the binding's business.
//
// Thread safety: the node's lock guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/api.h"

namespace bolide::node {

class BOLIDE_API Measures {
 public:
  static constexpr size_t kMost = 100'000;  // names; what comes with others is not kept

  // note takes packed changes, little-endian: uint32 1 to add, 2 to set | uint32 length of the name
  // | double | name. What is malformed ends it.
  void note(std::string_view changes);
  // tell appends for each name uint32 length, name, double.
  void tell(std::vector<std::byte>* out) const;

 private:
  std::unordered_map<std::string, double> values_;
};

}  // namespace bolide::node

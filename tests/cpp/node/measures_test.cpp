// Measures: changes of numbers by name, packed as the binding packs them.
#include "node/measures.h"

#include <doctest/doctest.h>

#include <cstring>
#include <map>

#include "node/packed.h"

using namespace bolide::node;

namespace {

std::string change(uint32_t what, const std::string& name, double amount) {
  const auto length = static_cast<uint32_t>(name.size());
  std::string out(16, '\0');
  std::memcpy(out.data(), &what, 4);
  std::memcpy(out.data() + 4, &length, 4);
  std::memcpy(out.data() + 8, &amount, 8);
  return out + name;
}

std::map<std::string, double> told(const Measures& measures) {
  std::vector<std::byte> bytes;
  measures.tell(&bytes);
  std::map<std::string, double> found;
  Packed in(bytes.data(), bytes.size());
  std::string name;
  while (in.text(&name)) REQUIRE(in.take(&found[name]));
  return found;
}

}  // namespace

TEST_CASE("measures: numbers are added or set") {
  Measures measures;
  measures.note(change(1, "a", 2) + change(1, "a", 0.5) + change(2, "b", 7));
  measures.note(change(2, "b", 3));
  CHECK(told(measures) == std::map<std::string, double>{{"a", 2.5}, {"b", 3}});
}

TEST_CASE("measures: what is malformed changes nothing more") {
  Measures measures;
  measures.note(change(1, "a", 1) + change(3, "b", 1) + change(1, "c", 1));
  measures.note(change(1, "d", 1).substr(0, 16));
  measures.note("x");
  CHECK(told(measures) == std::map<std::string, double>{{"a", 1}});
}

TEST_CASE("measures: there is an end to the names") {
  Measures measures;
  for (size_t i = 0; i < Measures::kMost + 5; ++i) measures.note(change(1, std::to_string(i), 1));
  measures.note(change(1, "0", 1));
  const auto found = told(measures);
  CHECK(found.size() == Measures::kMost);
  CHECK(found.at("0") == 2);
}

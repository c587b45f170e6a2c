#include "node/measures.h"

#include "node/packed.h"

namespace bolide::node {
namespace {

constexpr uint32_t kAdd = 1;
constexpr uint32_t kSet = 2;

}  // namespace

void Measures::note(std::string_view changes) {
  Packed in(reinterpret_cast<const std::byte*>(changes.data()), changes.size());
  uint32_t change = 0;
  uint32_t length = 0;
  double amount = 0;
  std::string name;
  while (in.take(&change) && in.take(&length) && in.take(&amount) && in.text(length, &name)) {
    if (change != kAdd && change != kSet) return;
    if (values_.size() >= kMost && !values_.contains(name)) continue;
    double& value = values_[name];
    value = change == kAdd ? value + amount : amount;
  }
}

void Measures::tell(std::vector<std::byte>* out) const {
  for (const auto& [name, value] : values_) {
    const auto length = static_cast<uint32_t>(name.size());
    const auto append = [out](const void* data, size_t size) {
      const auto* bytes = static_cast<const std::byte*>(data);
      out->insert(out->end(), bytes, bytes + size);
    };
    append(&length, sizeof length);
    append(name.data(), name.size());
    append(&value, sizeof value);
  }
}

}  // namespace bolide::node

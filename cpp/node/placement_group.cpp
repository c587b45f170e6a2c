#include "node/placement_group.h"

#include "node/packed.h"

namespace bolide::node {
namespace {

constexpr uint32_t kMostBundles = 1 << 16;
constexpr uint32_t kMostResources = 1024;

bool parse(Packed in, GroupSpec* spec) {
  uint32_t strategy = 0;
  uint32_t bundles = 0;
  if (!in.text(&spec->key) || !in.take(&strategy) || !in.take(&bundles)) return false;
  if (strategy > static_cast<uint32_t>(PlacementStrategy::kStrictSpread)) return false;
  if (bundles == 0 || bundles > kMostBundles) return false;
  spec->strategy = static_cast<PlacementStrategy>(strategy);
  for (uint32_t i = 0; i < bundles; ++i) {
    auto& bundle = spec->bundles.emplace_back();
    uint32_t resources = 0;
    if (!in.take(&resources) || resources > kMostResources) return false;
    for (uint32_t j = 0; j < resources; ++j) {
      auto& [name, amount] = bundle.emplace_back();
      if (!in.text(&name) || !in.take(&amount)) return false;
      if (amount <= 0 || amount > sched::kMostAmount) return false;
    }
  }
  return true;
}

}  // namespace

Result<GroupSpec> parse_group_spec(const std::byte* data, uint64_t size) {
  GroupSpec spec;
  if (data == nullptr || !parse(Packed(data, size), &spec)) {
    return Status(Code::kCorrupt, "the description of a placement group is malformed");
  }
  return spec;
}

}  // namespace bolide::node

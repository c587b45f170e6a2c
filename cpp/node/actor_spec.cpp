#include "node/actor_spec.h"

#include "node/packed.h"

namespace bolide::node {
namespace {

constexpr uint32_t kMostGroups = 1024;

bool parse(Packed in, ActorSpec* spec) {
  SpecHeader& header = spec->header;
  if (!in.text(&spec->class_name) || !in.take(&header)) return false;
  if (header.groups == 0 || header.groups > kMostGroups) return false;
  for (uint32_t i = 0; i < header.groups; ++i) {
    uint32_t limit = 0;
    if (!in.take(&limit) || limit == 0) return false;
    spec->limits.push_back(limit);
  }
  if (!in.text(header.key_bytes, &spec->key)) return false;
  for (uint32_t i = 0; i < header.methods; ++i) {
    if (!in.text(&spec->methods.emplace_back())) return false;
  }
  return true;
}

}  // namespace

Result<ActorSpec> parse_actor_spec(const std::byte* data, uint64_t size) {
  ActorSpec spec;
  if (data == nullptr || !parse(Packed(data, size), &spec)) {
    return Status(Code::kCorrupt, "the description of an actor is malformed");
  }
  return spec;
}

}  // namespace bolide::node

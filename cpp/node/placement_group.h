// placement_group: a placement group as the node keeps it, from the booking of its object to the
// end of the last handle. It is an object as an actor is (actor.h): its id is the group's, its
// references are the handles. The binding makes the value.
//
// The value, packed without padding (little-endian):
//   uint32 length, key of its name (empty: it has none) | uint32 PlacementStrategy |
//   uint32 bundles | for each: uint32 resources | for each: uint32 length, name, int64 amount in
//   1/10000 | what only the binding reads
//
// Thread safety: the node's lock guards it.
//
// Invariant: while `plan` is set, one reference of the object is the node's: a group lives until
// it is removed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "sched/groups.h"
#include "store/object_table.h"

namespace bolide::node {

// How the bundles are to lie on nodes. There is one node, so all but one mean the same.
enum class PlacementStrategy : uint32_t {
  kPack = 0,
  kSpread = 1,
  kStrictPack = 2,
  kStrictSpread = 3,  // each bundle on a node of its own
};

struct GroupSpec {
  std::string key;  // namespace, 0, name
  PlacementStrategy strategy = PlacementStrategy::kPack;
  std::vector<std::vector<std::pair<std::string, int64_t>>> bundles;
};

// parse_group_spec: kCorrupt if the bytes end before what they promise, or promise what cannot be.
Result<GroupSpec> parse_group_spec(const std::byte* data, uint64_t size);

struct PlacementGroup {
  ObjectId id{};
  GroupSpec spec;
  std::string value;  // as its object has it
  store::ObjectEntry* entry = nullptr;
  sched::Group* plan = nullptr;  // nullptr: it was removed
  std::vector<uint64_t> classes;  // keys of the scheduling classes that were defined in it
};

}  // namespace bolide::node

// actor_spec: what the node reads of an actor's object. An actor is an object like any other: its
// value describes it, its id is the actor's, its references are the handles, and its contained id
// is the class. The binding makes the value and alone reads what follows the methods.
//
// The value, packed without padding (little-endian):
//   uint32 length, name of the class | SpecHeader | uint32 limit of each concurrency group, the
//   default first | key of its name (none: it has no name) | for each method uint32 length, name
//   | what only the binding reads
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/api.h"
#include "base/status.h"

namespace bolide::node {

enum SpecFlags : uint32_t {
  kInOrder = 1,   // calls of one caller run in the order in which they were submitted
  kDetached = 2,  // it lives until it is killed, whoever has handles
};

struct SpecHeader {
  int32_t max_restarts;       // -1: without end
  int32_t max_pending_calls;  // of one caller; -1: any number
  uint32_t flags;             // SpecFlags
  uint32_t groups;            // concurrency groups, at least 1
  uint32_t key_bytes;
  uint32_t methods;
};
static_assert(sizeof(SpecHeader) == 24);

struct ActorSpec {
  SpecHeader header{};
  std::string class_name;
  std::string key;  // namespace, 0, name
  std::vector<uint32_t> limits;
  std::vector<std::string> methods;
};

// parse_actor_spec: kCorrupt if the bytes end before what they promise.
BOLIDE_API Result<ActorSpec> parse_actor_spec(const std::byte* data, uint64_t size);

}  // namespace bolide::node

// The identifiers of the core, as types that cannot be mixed up.
//
// An ObjectId is [client:24][counter:40], so that every client makes ids without asking anybody.
// A task has the id of its first return; return i of a task is that id plus i. The stream of a task
// that yields its items follows its one return. Ids are never used
// again, and value 0 names nothing.
//
// Thread safety: plain values, trivially copyable, the same bytes in shared memory.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "base/assert.h"

namespace bolide {

template <class Tag, class Rep>
struct Id {
  using rep = Rep;
  Rep value{};

  friend constexpr bool operator==(Id, Id) = default;
  friend constexpr auto operator<=>(Id, Id) = default;
};

using ObjectId = Id<struct ObjectTag, uint64_t>;
using ClientId = Id<struct ClientTag, uint32_t>;
using ChunkId = Id<struct ChunkTag, uint32_t>;
using WorkerId = Id<struct WorkerTag, uint32_t>;

inline constexpr ObjectId kNoObject{0};
inline constexpr int kObjectCounterBits = 40;
inline constexpr uint64_t kMaxObjectCounter = (uint64_t{1} << kObjectCounterBits) - 1;
inline constexpr uint32_t kMaxClient = (uint32_t{1} << 24) - 1;

constexpr ObjectId make_object_id(ClientId client, uint64_t counter) {
  BOLIDE_DCHECK(client.value <= kMaxClient, "a client id has 24 bits");
  BOLIDE_DCHECK(counter <= kMaxObjectCounter, "an object counter has 40 bits");
  return ObjectId{(uint64_t{client.value} << kObjectCounterBits) | counter};
}

constexpr ClientId client_of(ObjectId id) {
  return ClientId{static_cast<uint32_t>(id.value >> kObjectCounterBits)};
}

constexpr uint64_t counter_of(ObjectId id) {
  return id.value & kMaxObjectCounter;
}

// The id of return `index` of the task whose first return is `task`.
constexpr ObjectId return_of(ObjectId task, uint32_t index) {
  return ObjectId{task.value + index};
}

constexpr ObjectId stream_of(uint64_t task) { return ObjectId{task + 1}; }

static_assert(sizeof(ObjectId) == 8 && std::is_trivially_copyable_v<ObjectId>);
static_assert(sizeof(ClientId) == 4 && std::is_trivially_copyable_v<ClientId>);

}  // namespace bolide

template <class Tag, class Rep>
struct std::hash<bolide::Id<Tag, Rep>> {
  // Counters are dense, so the bits are mixed for tables that index by the low ones (splitmix64).
  size_t operator()(bolide::Id<Tag, Rep> id) const noexcept {
    uint64_t x = static_cast<uint64_t>(id.value) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return static_cast<size_t>(x ^ (x >> 31));
  }
};

// registry: the node's table of chunks: who may write each, how many bytes of it are live, and
// what all of them cost against the byte budget. A memfd knows no limit of its own, so without
// this the first sign of a full store would be the kernel's killer.
//
// Not the table of objects, and no policy: what to spill, whom to ask for empty chunks and how
// long a producer waits is the node's affair.
//
// The charge of a chunk is what it was granted for, then its high-water mark of sealed objects,
// in pages: pages once touched stay in memory until the chunk is closed. A shared chunk may so be
// filled past the budget without another question; a grant is cut to the room that is left, which
// bounds the excess to one chunk a client.
//
// What a client says is checked (seal_object, give_back); a client cannot spoil the books of
// another. Thread safety: none; the node's lock guards it.
// Invariants: 1. charged_ is the sum of the charges. 2. live <= size, charge <= size of each
// chunk. 3. An orphaned chunk has live bytes. 4. Ids count from 1 and never come again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/ids.h"
#include "base/location.h"
#include "base/status.h"
#include "os/fd.h"
#include "os/memory.h"

namespace bolide::store {

struct Grant {
  ChunkId id;
  uint64_t size;
};

struct Freed {
  ClientId owner;
  bool orphaned;
  bool empty;  // nothing live is left; when orphaned too, the chunk has been closed
};

struct ChunkInfo {
  ChunkId id;
  ClientId owner;
  uint64_t size;
  uint64_t touched;  // the charge
  uint64_t live;
  bool orphaned;
};

struct RegistryStats {
  uint64_t budget;
  uint64_t granted;  // sum of the chunk sizes
  uint64_t touched;  // sum of the charges; may exceed the budget
  uint64_t live;     // bytes of sealed objects, as they lie in the chunks
  uint64_t chunks;
  uint64_t largest;  // size of the largest chunk
};

class BOLIDE_API Registry {
 public:
  // What grant() leaves for the rest of the machine.
  static constexpr uint64_t kMemoryReserve = uint64_t{64} << 20;

  // `available` says how much memory the machine has left; tests bring their own.
  explicit Registry(uint64_t budget, std::function<uint64_t()> available = os::available_memory);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // grant makes a chunk for `owner`, who needs room for an object of `wanted` bytes. The chunk
  // may be smaller than chunk_size when the budget leaves no more, but never than the object.
  // kFull: over the budget, or the machine has too little memory. `control` ignores the budget,
  // for records that must get through.
  Result<Grant> grant(ClientId owner, uint64_t chunk_size, uint64_t wanted, bool control);

  const os::Fd* fd(ChunkId id) const;  // nullptr: no such chunk
  uint64_t size(ChunkId id) const;     // 0: no such chunk

  // seal_object books an object that `owner` has written. The object belongs to the node from
  // here on.
  Status seal_object(const Location& where, ClientId owner);

  // free_object takes a sealed object off the books; nullopt when it cannot have been there.
  std::optional<Freed> free_object(const Location& where);

  // orphan is called once the dead owner's ring has been drained. Chunks without live bytes are
  // closed and returned, the others go with their last object.
  std::vector<ChunkId> orphan(ClientId owner);

  // close and give_back end a chunk; false while it has live bytes, or is unknown. give_back is
  // for what a client sent: it also checks that the chunk is the client's.
  bool close(ChunkId id);
  bool give_back(ChunkId id, ClientId owner);

  RegistryStats stats() const;
  std::optional<ChunkInfo> info(ChunkId id) const;
  std::vector<ChunkInfo> chunks() const;  // by id; for compaction and "who holds what"

  // is_valid walks everything and checks the invariants. For tests and audits.
  bool is_valid() const;

 private:
  struct Chunk {
    os::Fd fd;
    ClientId owner;
    uint64_t size;
    uint64_t charge;
    uint64_t live = 0;
    bool has_seals = false;  // seen once; seals are for ever
    bool orphaned = false;
  };
  using Chunks = std::unordered_map<ChunkId, Chunk>;

  Status refuse(uint64_t wanted) const;
  void erase(Chunks::iterator chunk);

  const uint64_t budget_;
  const std::function<uint64_t()> available_;
  Chunks chunks_;
  uint64_t charged_ = 0;
  uint32_t last_id_ = 0;
};

}  // namespace bolide::store

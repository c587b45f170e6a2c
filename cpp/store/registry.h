// registry: the node's table of chunks: who may write each, which objects lie in it, and what all
// of them cost against the byte budget. A memfd knows no limit of its own, so without this the
// first sign of a full store would be the kernel's killer.
//
// Not the table of objects, and no policy beyond two: how long empty chunks are kept (surplus),
// and when descriptors are scarce (crowded). What to spill and how long a producer waits is the
// node's affair.
//
// The charge of a chunk is what it was granted for, then its high-water mark of sealed objects,
// in pages: pages once touched stay in memory until the chunk is closed. A shared chunk may so be
// filled past the budget without another question; a grant is cut to the room that is left, which
// bounds the excess to one chunk a client.
//
// Empty chunks are worth keeping for their writers: writing touched pages costs a fifth to a tenth
// of touching new ones. What exceeds 64 MiB of them, in all clients together, is surplus when it
// has been empty for half a second; and at once what exceeds an eighth of the live bytes and twice
// the largest of them too, for a program that makes and drops objects of all sizes all the time.
// The longest empty go first. The registry reads no clock: it counts changes and is told from time
// to time how late it is.
//
// What a client says is checked (seal_object, give_back); a client cannot spoil the books of
// another. Thread safety: none; the node's lock guards it.
// Invariants: 1. charged_, live_ and warm_ are the sums over the chunks of the charges, of the live
// bytes, and of the charges of those without live bytes. 2. live <= size, charge <= size of each
// chunk. 3. An orphaned chunk has live bytes. 4. Ids count from 1 and never come again. 5. A
// chunk's `objects` are those whose bytes are counted in its `live`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/flat_map.h"
#include "base/ids.h"
#include "base/location.h"
#include "base/status.h"
#include "os/fd.h"
#include "os/memory.h"

namespace bolide::store {

inline constexpr uint64_t kWarmBytes = uint64_t{64} << 20;  // of empty chunks, never surplus
inline constexpr Nanos kEmptyFor = kSecond / 2;             // before a chunk is surplus

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
  uint64_t changed;  // when its last object was sealed or freed, as a count of changes
  bool orphaned;
  bool retired;  // its writer has been asked for it
  bool used;     // it has had an object
};

// An object in a chunk.
struct Lodger {
  ObjectId object;
  uint64_t offset;
};

struct RegistryStats {
  uint64_t budget;
  uint64_t granted;  // sum of the chunk sizes
  uint64_t touched;  // sum of the charges; may exceed the budget
  uint64_t live;     // bytes of sealed objects, as they lie in the chunks
  uint64_t warm;     // of `touched`, what belongs to chunks without live bytes
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

  // missing is how many bytes must come back before such a grant has room, may_fit whether that
  // can ever be enough.
  uint64_t missing(uint64_t wanted) const;
  bool may_fit(uint64_t wanted) const;
  // refuse says why the budget has no room for an object of `wanted` bytes.
  Status refuse(uint64_t wanted) const;

  const os::Fd* fd(ChunkId id) const;  // nullptr: no such chunk
  uint64_t size(ChunkId id) const;     // 0: no such chunk

  // seal_object books an object that `owner` has written. The object belongs to the node from
  // here on.
  Status seal_object(const Location& where, ClientId owner, ObjectId object);

  // free_object takes a sealed object off the books; nullopt when it was not there.
  std::optional<Freed> free_object(const Location& where, ObjectId object);

  // rename_object: an object that lies there is known by another id now.
  void rename_object(const Location& where, ObjectId from, ObjectId to);

  // objects lists what lies in a chunk, in the order of the offsets.
  std::vector<Lodger> objects(ChunkId id) const;

  // sole_object is the one that lies alone in a chunk; nullopt: there are none, or several.
  std::optional<ObjectId> sole_object(ChunkId id) const;

  // orphan is called once the dead owner's ring has been drained. Chunks without live bytes are
  // closed and returned, the others go with their last object.
  std::vector<ChunkId> orphan(ClientId owner);

  // close and give_back end a chunk; false while it has live bytes, or is unknown. give_back is
  // for what a client sent: it also checks that the chunk is the client's.
  bool close(ChunkId id);
  bool give_back(ChunkId id, ClientId owner);

  // retire marks a chunk whose writer is asked to give it back; false: unknown, or marked before.
  bool retire(ChunkId id);

  // surplus lists the empty chunks that are to be retired now. has_surplus tells whether there will
  // be some if nothing changes, next_surplus when to ask again; nullopt: not before the next
  // change, so that an idle process sleeps.
  bool has_surplus() const { return unused_ != 0 || idle_ > kWarmBytes; }
  std::vector<ChunkId> surplus(Nanos now);
  std::optional<Nanos> next_surplus() const;
  // excess lists what is surplus at once.
  std::vector<ChunkId> excess() const;
  // empty_chunks lists all of those without live bytes that are not retired, the longest empty
  // first.
  std::vector<ChunkId> empty_chunks() const;

  uint64_t changes() const { return changes_; }
  uint64_t budget() const { return budget_; }
  uint64_t charged() const { return charged_; }
  uint64_t live() const { return live_; }
  uint64_t warm() const { return warm_; }
  // waste is what is charged in chunks with live bytes, beyond these.
  uint64_t waste() const { return charged_ - live_ - warm_; }

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
    uint64_t changed;
    uint64_t live = 0;
    FlatMap<uint64_t> objects{};  // id -> offset
    bool has_seals = false;       // seen once; seals are for ever; false: never used
    bool orphaned = false;
    bool retired = false;
  };
  using Chunks = std::unordered_map<ChunkId, Chunk>;

  // Every change of a chunk lies between leave and enter, which keep the sums.
  void leave(const Chunk& chunk) { count(chunk, -1); }
  void enter(const Chunk& chunk) { count(chunk, 1); }
  void count(const Chunk& chunk, int64_t sign);
  void erase(Chunks::iterator chunk);

  const uint64_t budget_;
  const std::function<uint64_t()> available_;
  Chunks chunks_;
  uint64_t charged_ = 0;
  uint64_t live_ = 0;
  uint64_t warm_ = 0;
  uint32_t last_id_ = 0;

  // What has not changed since the older mark has been as it is for kEmptyFor at least.
  struct Mark {
    uint64_t changes;
    Nanos time;
  };
  uint64_t changes_ = 0;  // grants, objects sealed and freed
  Mark older_{0, INT64_MIN / 2};
  Mark newer_{0, INT64_MIN / 2};
  // Of what is not retired:
  uint64_t idle_ = 0;    // the charges of chunks without live bytes that have been used
  uint64_t unused_ = 0;  // chunks in which no object was ever sealed
};

}  // namespace bolide::store

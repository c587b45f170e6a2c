// spiller: what happens when memory is short: values go to the disk, and come back when somebody
// asks for them.
//
// Memory goes back by whole chunks only, so chunks are emptied; the mover does that as it moves
// objects. Those come first in which nothing has changed for the longest time; but an object that
// lies alone in its chunk comes later if somebody beside one holder needs it, as a task that waits,
// and earlier if it lies on the disk already, so that it need not be written. More goes than is missing
// now, since producers that wait for room come in crowds. An empty chunk stays with its writer as
// long as enough is on its way for the others: its memory is warm, and the writer is often one of
// those who wait. What is read or viewed stays. Nothing is written before memory is short. What has come back keeps its place on the disk, and need not be
// written when it goes again.
//
// A value comes back into a chunk of the node's process, in a thread of the pool. If there is no
// room for it, it waits as a producer does.
//
// Thread safety: every method is called with the node's lock held, which `mutex` is.
// Invariant: each entry in `returning_` is away and has a reference of the spiller.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "node/mover.h"
#include "node/objects.h"
#include "store/io_pool.h"

namespace bolide::node {

// How long somebody waits for room in a full store while nothing becomes free.
inline constexpr Nanos kRoomTimeout = 2'500 * kMillisecond;

// What the spiller needs of the node.
class SpillerOwner {
 public:
  virtual ~SpillerOwner() = default;
  // Room in the arena of this process, within the budget.
  virtual Status room_for_return(uint64_t size, store::Slot* slot) = 0;
  // The value is there again, or failure() says why not.
  virtual void value_returned(store::ObjectEntry* entry) = 0;
  // Who has the object, and where it was made.
  virtual std::string holders_of(const store::ObjectEntry* entry) = 0;
  // Why an object of that size finds no room, with what takes it.
  virtual Status no_room(uint64_t size) = 0;
};

class BOLIDE_API Spiller {
 public:
  Spiller(Mutex& mutex, Objects& objects, store::IoPool& pool, Mover& mover, MoverOwner& moves,
          SpillerOwner& owner)
      : mutex_(mutex), objects_(objects), pool_(pool), mover_(mover), moves_(moves), owner_(owner) {}
  Spiller(const Spiller&) = delete;
  Spiller& operator=(const Spiller&) = delete;

  // make_room begins to free `missing` bytes of memory and some more. True: memory is on its way
  // back, so it is worth waiting.
  bool make_room(uint64_t missing, Nanos now);

  // bring_back begins to read a value that is away, unless that is under way.
  void bring_back(store::ObjectEntry* entry, Nanos now);
  // failure is an encoded system error if the last attempt failed, nullptr if not.
  const std::string* failure(ObjectId object) const;
  void forget_failure(ObjectId object) { failures_.erase(object.value); }

  bool is_idle() const { return returning_.empty(); }

  // step goes on with what waits for room.
  bool waits_for_room() const { return !waiting_.empty(); }
  void step(Nanos now);

  // close lets go of everything, once the pool has stopped.
  void close();

  // progressed: memory came back, so those who wait may go on waiting.
  void progressed(Nanos now) { progress_ = now; }
  bool has_given_up(Nanos since, Nanos now) const {
    return now - std::max(since, progress_) >= kRoomTimeout;
  }

  // write_failed is told of an attempt to spill; write_error is what the last one said, if that
  // was after `since`.
  void write_failed(const Status& why, Nanos now);
  const Status* write_error(Nanos since) const {
    return !write_error_.is_ok() && failed_at_ >= since ? &write_error_ : nullptr;
  }

  uint64_t bytes_written() const { return mover_.bytes_spilled(); }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  struct Return {
    store::ObjectEntry* entry;
    Nanos since;
  };

  uint64_t expected(const std::vector<store::ChunkInfo>& chunks, Nanos now);
  uint64_t spill(const std::vector<store::ChunkInfo>& chunks, uint64_t goal, uint64_t coming);
  uint64_t rank_of(const store::ChunkInfo& chunk) const;
  bool start_read(const Return& item, const store::Slot& slot);
  void finish_read(ObjectId object, const store::Slot& slot, const Status& read);
  void end(ObjectId object);
  void fail(ObjectId object, const Status& why);

  Mutex& mutex_;
  Objects& objects_;
  store::IoPool& pool_;
  Mover& mover_;
  MoverOwner& moves_;
  SpillerOwner& owner_;
  std::unordered_map<uint64_t, Return> returning_;
  std::unordered_map<uint64_t, std::string> failures_;
  std::deque<ObjectId> waiting_;  // of returning_, those that wait for room
  std::unordered_map<ChunkId, Nanos> asked_;  // retired and empty: since when
  bool is_coming_ = false;  // what the last look found
  Nanos looked_at_ = INT64_MIN / 2;
  uint64_t looked_for_ = 0;
  Nanos progress_ = INT64_MIN / 2;
  Nanos failed_at_ = INT64_MIN / 2;
  Status write_error_;
  uint64_t bytes_read_ = 0;
};

}  // namespace bolide::node

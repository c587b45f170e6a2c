#include "node/spiller.h"

#include <algorithm>
#include <utility>

#include "node/system_error.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using store::ChunkInfo;
using store::ObjectEntry;

constexpr uint64_t kMostAhead = 256 * store::kMiB;
constexpr Nanos kLookAgain = 2 * kMillisecond;  // a look walks over all chunks
constexpr Nanos kTryAgain = 500 * kMillisecond;  // to write, after that has failed
constexpr Nanos kGivenBackWithin = 200 * kMillisecond;

}  // namespace

bool Spiller::make_room(uint64_t missing, Nanos now) {
  if (now < looked_at_ + kLookAgain && missing <= looked_for_) return is_coming_;
  looked_at_ = now;
  looked_for_ = missing;
  store::Registry& registry = objects_.registry();
  std::vector<ChunkInfo> chunks = registry.chunks();
  const uint64_t goal = missing + std::min(kMostAhead, registry.budget() / 8);
  uint64_t coming = expected(chunks, now);
  uint64_t kept = 0;
  for (const ChunkInfo& chunk : chunks) {
    if (chunk.live != 0 || chunk.retired || !chunk.used) continue;
    if (coming < missing) {
      moves_.retire(chunk.id);
      coming += chunk.touched;
    } else {
      kept += chunk.touched;
    }
  }
  if (now >= failed_at_ + kTryAgain) coming += spill(chunks, goal, coming + kept);
  return is_coming_ = coming > 0;
}

// expected is how much is on its way back. A writer that does not give an empty chunk back at once
// writes into it still, perhaps for long.
uint64_t Spiller::expected(const std::vector<ChunkInfo>& chunks, Nanos now) {
  uint64_t coming = 0;
  std::unordered_map<ChunkId, Nanos> asked;
  for (const ChunkInfo& chunk : chunks) {
    if (mover_.is_leaving(chunk.id)) coming += chunk.touched;
    if (chunk.live != 0 || !chunk.retired) continue;
    const auto before = asked_.find(chunk.id);
    const Nanos since = asked[chunk.id] = before == asked_.end() ? now : before->second;
    if (now < since + kGivenBackWithin) coming += chunk.touched;
  }
  asked_ = std::move(asked);
  return coming;
}

uint64_t Spiller::spill(const std::vector<ChunkInfo>& chunks, uint64_t goal, uint64_t coming) {
  if (coming >= goal) return 0;
  struct Candidate {
    uint64_t rank, changed;
    ChunkId chunk;
    uint64_t touched;
    auto operator<=>(const Candidate&) const = default;
  };
  std::vector<Candidate> candidates;
  for (const ChunkInfo& chunk : chunks) {
    if (chunk.live == 0 || mover_.is_moving(chunk.id)) continue;
    candidates.push_back({rank_of(chunk), chunk.changed, chunk.id, chunk.touched});
  }
  std::sort(candidates.begin(), candidates.end());
  uint64_t begun = 0;
  for (const Candidate& candidate : candidates) {
    if (coming + begun >= goal) break;
    if (mover_.evacuate(candidate.chunk, Mover::Target::kDisk)) begun += candidate.touched;
    if (failed_at_ >= looked_at_) break;  // the disk takes nothing now
  }
  return begun;
}

uint64_t Spiller::rank_of(const ChunkInfo& chunk) const {
  const auto sole = objects_.registry().sole_object(chunk.id);
  const ObjectEntry* entry = sole.has_value() ? objects_.find(*sole) : nullptr;
  if (entry == nullptr) return 1;
  if (entry->refs > 1) return 2;
  return objects_.place_of(entry) == nullptr ? 1 : 0;
}

void Spiller::write_failed(const Status& why, Nanos now) {
  write_error_ = why.clone();
  failed_at_ = now;
}

void Spiller::bring_back(ObjectEntry* entry, Nanos now) {
  const auto [item, added] = returning_.try_emplace(entry->id.value, Return{entry, now});
  if (!added) return;
  failures_.erase(entry->id.value);
  ++entry->refs;
  waiting_.push_back(entry->id);
  step(now);
}

const std::string* Spiller::failure(ObjectId object) const {
  const auto found = failures_.find(object.value);
  return found == failures_.end() ? nullptr : &found->second;
}

// step starts what has room, in the order in which it was asked for: so the arguments of one task
// come before those of the next, and do not wait for each other.
void Spiller::step(Nanos now) {
  Status room;
  while (room.is_ok() && !waiting_.empty()) {
    const ObjectId id = waiting_.front();
    const Return& item = returning_.find(id.value)->second;
    store::Slot slot{};
    room = owner_.room_for_return(item.entry->where.size, &slot);
    if (room.code() == Code::kFull || (room.is_ok() && !start_read(item, slot))) break;
    waiting_.pop_front();
    if (!room.is_ok()) fail(id, room);
  }
  if (waiting_.empty()) return;
  uint64_t missing = 0;
  for (ObjectId id : waiting_) missing += returning_.find(id.value)->second.entry->where.size;
  if (make_room(missing, now)) return;
  std::deque<ObjectId> still;
  for (ObjectId id : std::exchange(waiting_, {})) {
    const Return item = returning_.find(id.value)->second;
    if (has_given_up(item.since, now)) {
      fail(id, owner_.no_room(item.entry->where.size));
    } else {
      still.push_back(id);
    }
  }
  waiting_ = std::move(still);
}

void Spiller::close() {
  for (const auto& [id, item] : std::exchange(returning_, {})) objects_.release(item.entry);
  waiting_.clear();
}

bool Spiller::start_read(const Return& item, const store::Slot& slot) {
  const store::SpillPlace* place = objects_.place_of(item.entry);
  const ObjectId id = item.entry->id;
  const Status submitted = pool_.submit([this, place, id, slot](bool cancelled) {
    const Status read = cancelled ? Status(Code::kClosed, "the runtime is being shut down")
                                  : place->read(slot.data);
    MutexLock lock(mutex_);
    finish_read(id, slot, read);
    moves_.moved(read.is_ok());
  });
  if (!submitted.is_ok()) moves_.free_span(slot.where);  // a thread may be had later
  return submitted.is_ok();
}

void Spiller::finish_read(ObjectId object, const store::Slot& slot, const Status& read) {
  ObjectEntry* entry = returning_.find(object.value)->second.entry;
  Status done = read.is_ok() ? objects_.bring_back(entry, slot.where, kNode) : read.clone();
  if (!done.is_ok()) {
    moves_.free_span(slot.where);
    fail(object, Status(Code::kNotFound, "Its " + store::amount(entry->where.size) +
                                             " were written to the disk, but " + done.message() +
                                             ". They cannot be had any more. It is " +
                                             owner_.holders_of(entry) + "."));
    return;
  }
  bytes_read_ += slot.where.size;
  end(object);
}

void Spiller::fail(ObjectId object, const Status& why) {
  SystemErrorKind kind = SystemErrorKind::kRaySystem;
  if (why.code() == Code::kNotFound) kind = SystemErrorKind::kObjectLost;
  if (why.code() == Code::kFull) kind = SystemErrorKind::kObjectStoreFull;
  if (why.code() == Code::kDiskFull) kind = SystemErrorKind::kOutOfDisk;
  failures_[object.value] = encode_system_error(kind, why.message());
  end(object);
}

// end tells who waits, then lets go.
void Spiller::end(ObjectId object) {
  const auto found = returning_.find(object.value);
  ObjectEntry* entry = found->second.entry;
  returning_.erase(found);
  owner_.value_returned(entry);
  objects_.release(entry);
}

}  // namespace bolide::node

#include "node/mover.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/fault.h"
#include "ipc/records.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using store::ChunkInfo;
using store::ObjectEntry;

constexpr ClientId kNode{1};
// Less waste than this, of the store and of a chunk, is not worth a look.
constexpr uint64_t kLeastWaste = store::kMiB;
constexpr uint64_t kLeastChunkWaste = 64 * store::kKiB;
constexpr uint64_t kLeastPart = 16;  // of the budget, where that is less
constexpr uint64_t kMostInFlight = 64 * store::kMiB;
constexpr Nanos kFirstPause = 50 * kMillisecond;  // holes that come and go are filled again
constexpr Nanos kLongestPause = 2 * kSecond;

uint64_t waste_of(const ChunkInfo& chunk) {
  return chunk.touched - chunk.live;
}

}  // namespace

bool Mover::has_waste() const {
  const store::Registry& registry = objects_.registry();
  return registry.waste() >= std::min(kLeastWaste, registry.budget() / kLeastPart);
}

std::optional<Nanos> Mover::next_look() const {
  if (!has_waste()) return std::nullopt;
  return looked_at_ + pause_;
}

void Mover::compact(Nanos now) {
  if (!has_waste()) {
    pause_ = kFirstPause;
    looked_at_ = now;
    return;
  }
  if (now < looked_at_ + pause_) return;
  looked_at_ = now;
  bool news = objects_.registry().changes() != changes_seen_;
  changes_seen_ = objects_.registry().changes();
  for (ChunkId chunk : candidates()) {
    if (in_flight_ >= kMostInFlight) break;
    if (!evacuating_.contains(chunk)) news |= evacuate(chunk);
  }
  // Looks that find nothing new become rarer.
  pause_ = news ? kFirstPause : std::min(2 * pause_, kLongestPause);
}

// candidates are the chunks worth emptying, those with the most holes first.
std::vector<ChunkId> Mover::candidates() const {
  const store::Registry& registry = objects_.registry();
  std::vector<ChunkInfo> found;
  const uint64_t used = registry.charged() - registry.warm();
  const uint64_t least = std::min(kLeastChunkWaste, registry.budget() / kLeastPart);
  const bool much = 5 * registry.waste() > used;
  for (const ChunkInfo& chunk : registry.chunks()) {
    if (chunk.live == 0 || waste_of(chunk) < least) continue;
    const bool half_empty = 2 * chunk.live < chunk.touched;
    // The holes of an orphaned chunk are never filled again.
    if (half_empty || chunk.orphaned || (much && 5 * chunk.live < 4 * chunk.touched)) {
      found.push_back(chunk);
    }
  }
  std::sort(found.begin(), found.end(), [](const ChunkInfo& a, const ChunkInfo& b) {
    return a.live * b.touched < b.live * a.touched;
  });
  std::vector<ChunkId> chunks;
  for (const ChunkInfo& chunk : found) chunks.push_back(chunk.id);
  return chunks;
}

bool Mover::evacuate(ChunkId chunk) {
  std::vector<ObjectEntry*> entries;
  if (!may_move(chunk, &entries)) return false;
  owner_.retire(chunk);  // before room is looked for, which must not be in this chunk
  auto evacuation = std::make_shared<Evacuation>();
  evacuation->chunk = chunk;
  for (ObjectEntry* entry : entries) {
    if (!add_piece(*evacuation, entry)) {
      finish(*evacuation, false);
      return false;
    }
  }
  evacuating_[chunk] = evacuation;
  const Status submitted = pool_.submit([this, evacuation](bool cancelled) {
    for (const Piece& piece : evacuation->pieces) {
      if (!cancelled) std::memcpy(piece.to.data, piece.source, piece.from.size);
    }
    BOLIDE_FAULT_AT("mover.copied");
    MutexLock lock(mutex_);
    finish(*evacuation, !cancelled);
    owner_.moved();
  });
  if (submitted.is_ok()) return true;
  finish(*evacuation, false);
  return false;
}

// may_move lists the objects of a chunk. False: at least one has to stay where it is; those of
// which only workers know the place are recalled, so that it may move later.
bool Mover::may_move(ChunkId chunk, std::vector<ObjectEntry*>* entries) {
  std::vector<ObjectEntry*> told;
  bool stays = false;
  for (const store::Lodger& lodger : objects_.registry().objects(chunk)) {
    ObjectEntry* entry = objects_.find(lodger.object);
    if (entry == nullptr) {  // an item of a stream that nobody has taken: it has no name yet
      stays = true;
      continue;
    }
    const bool function = (entry->value_flags & ipc::kFunction) != 0;
    if (entry->presence.is_pinned() || (function && !owner_.may_move_function(entry->id))) {
      stays = true;
    } else if (entry->readers != 0) {
      told.push_back(entry);
    }
    entries->push_back(entry);
  }
  if (stays || told.empty()) return !stays;
  owner_.recall(told);
  return false;
}

bool Mover::add_piece(Evacuation& evacuation, ObjectEntry* entry) {
  Piece piece{entry, entry->where, owner_.resolve_locked(entry->where), {}};
  if (piece.source == nullptr) return false;
  if (!owner_.reserve_for_move(entry->where.size, &piece.to).is_ok()) return false;
  ++entry->refs;
  views_.pin(piece.from.chunk);
  evacuation.pieces.push_back(piece);
  evacuation.bytes += entry->where.size;
  in_flight_ += entry->where.size;
  return true;
}

// finish gives the objects their new places, as far as they were copied and nobody reads them.
void Mover::finish(Evacuation& evacuation, bool copied) {
  for (const Piece& piece : evacuation.pieces) {
    ObjectEntry* entry = piece.entry;
    bool moved = false;
    if (copied && entry->readers == 0 && entry->presence.depart()) {
      moved = objects_.move_stored(entry, piece.to.where, kNode).is_ok();
      entry->presence.arrive();
    }
    if (!moved) owner_.free_span(piece.to.where);
    views_.unpin(piece.from.chunk);
    objects_.release(entry);
  }
  in_flight_ -= evacuation.bytes;
  evacuating_.erase(evacuation.chunk);
}

}  // namespace bolide::node

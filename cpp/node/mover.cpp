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

// Less waste than this, of the store and of a chunk, is not worth a look.
constexpr uint64_t kLeastWaste = store::kMiB;
constexpr uint64_t kLeastChunkWaste = 64 * store::kKiB;
constexpr uint64_t kLeastPart = 16;  // of the budget, where that is less
constexpr uint64_t kMostInFlight = 64 * store::kMiB;
constexpr uint8_t kLookedInto = ipc::kFunction | ipc::kActor | ipc::kStream | ipc::kError;
constexpr Nanos kFirstPause = 50 * kMillisecond;  // holes that come and go are filled again
constexpr Nanos kLongestPause = 2 * kSecond;

uint64_t waste_of(const ChunkInfo& chunk) {
  return chunk.touched - chunk.live;
}

}  // namespace

// leaves: functions and what else the node looks into stay in memory.
bool Mover::leaves(const ObjectEntry* entry, Target target) {
  return target == Target::kDisk && (entry->value_flags & kLookedInto) == 0;
}

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
    if (!evacuating_.contains(chunk)) news |= evacuate(chunk, Target::kMemory);
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

bool Mover::is_leaving(ChunkId chunk) const {
  const auto found = evacuating_.find(chunk);
  return found != evacuating_.end() && found->second->target == Target::kDisk;
}

bool Mover::evacuate(ChunkId chunk, Target target) {
  std::vector<ObjectEntry*> entries;
  if (!may_move(chunk, &entries)) return false;
  const auto may_leave = [target](const ObjectEntry* entry) { return leaves(entry, target); };
  if (target == Target::kDisk && std::none_of(entries.begin(), entries.end(), may_leave)) {
    return false;  // they would only move from chunk to chunk
  }
  auto evacuation = std::make_shared<Evacuation>();
  evacuation->chunk = chunk;
  evacuation->target = target;
  const auto add = [&](bool leaving) {
    return std::all_of(entries.begin(), entries.end(), [&](ObjectEntry* entry) {
      return leaves(entry, target) != leaving || add_piece(*evacuation, entry);
    });
  };
  // The chunk is given up once the disk has room, and before room in memory is looked for, which
  // must not be in it. One of a single object that goes to the disk stays with its writer, who may
  // be waiting for just such a chunk, and touched memory.
  bool added = add(true);
  if (added && (target == Target::kMemory || entries.size() > 1)) owner_.retire(chunk);
  added = added && add(false);
  if (!added) {
    finish(*evacuation, Status(Code::kFull, "there is no room to move it to"));
    return false;
  }
  evacuating_[chunk] = evacuation;
  const Status submitted = pool_.submit([this, evacuation](bool cancelled) {
    const Status copied = cancelled ? Status(Code::kClosed, "stopped") : copy(*evacuation);
    BOLIDE_FAULT_AT("mover.copied");
    MutexLock lock(mutex_);
    if (!copied.is_ok() && !cancelled) owner_.failed_to_spill(copied);
    owner_.moved(finish(*evacuation, copied));
  });
  if (submitted.is_ok()) return true;
  finish(*evacuation, submitted);
  return false;
}

Status Mover::copy(Evacuation& evacuation) {
  for (Piece& piece : evacuation.pieces) {
    if (!piece.leaves) {
      std::memcpy(piece.to.data, piece.source, piece.from.size);
    } else if (piece.place.valid()) {
      Status written = piece.place.write(piece.source);
      if (!written.is_ok()) return written;
    }
  }
  return Status();
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
  const bool to_disk = leaves(entry, evacuation.target);
  Piece piece{entry, entry->where, owner_.resolve_locked(entry->where), {}, {}, to_disk};
  if (piece.source == nullptr) return false;
  if (to_disk && objects_.place_of(entry) == nullptr) {
    auto place = owner_.place_on_disk(entry->where.size);
    if (!place.is_ok()) {
      owner_.failed_to_spill(place.status());
      return false;
    }
    piece.place = place.take();
  } else if (!to_disk && !owner_.reserve_for_move(entry->where.size, &piece.to).is_ok()) {
    return false;
  }
  ++entry->refs;
  views_.pin(piece.from.chunk);
  evacuation.bytes += entry->where.size;
  in_flight_ += entry->where.size;
  evacuation.pieces.push_back(std::move(piece));
  return true;
}

// finish gives the objects their new places, as far as they were copied and nobody reads them. True:
// at least one has moved.
bool Mover::finish(Evacuation& evacuation, const Status& copied) {
  bool any = false;
  for (Piece& piece : evacuation.pieces) {
    ObjectEntry* entry = piece.entry;
    if (piece.place.valid() && copied.is_ok()) {
      spilled_ += entry->where.size;
      objects_.keep_place(entry, std::move(piece.place));
    } else if (piece.place.valid()) {
      objects_.owner().place_freed(entry->id, std::move(piece.place));
    }
    bool moved = copied.is_ok() && entry->readers == 0 && entry->presence.depart();
    if (moved && piece.leaves) {
      objects_.put_away(entry);
    } else if (moved) {
      moved = objects_.move_stored(entry, piece.to.where, kNode).is_ok();
      entry->presence.arrive();
    }
    if (!moved && !piece.leaves) owner_.free_span(piece.to.where);
    any |= moved;
    views_.unpin(piece.from.chunk);
    objects_.release(entry);
  }
  in_flight_ -= evacuation.bytes;
  evacuating_.erase(evacuation.chunk);
  return any;
}

}  // namespace bolide::node

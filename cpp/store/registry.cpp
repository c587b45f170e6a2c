#include "store/registry.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "base/fault.h"
#include "store/sizes.h"

namespace bolide::store {

namespace {

constexpr uint64_t kControlChunk = kMiB;  // beyond the budget, for several records or moved objects

// F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_FUTURE_WRITE as numbers: old headers lack the third.
constexpr int kNeededSeals = 0x0002 | 0x0004 | 0x0010;

std::string name(const Location& where) {
  return "object of " + std::to_string(where.size) + " bytes at offset " +
         std::to_string(where.offset) + " of chunk " + std::to_string(where.chunk.value);
}

}  // namespace

Registry::Registry(uint64_t budget, std::function<uint64_t()> available)
    : budget_(budget), available_(std::move(available)) {}

Result<Grant> Registry::grant(ClientId owner, uint64_t chunk_size, uint64_t wanted, bool control) {
  if (wanted > kLargestObject) return refuse(wanted);
  const uint64_t needed = page_round(span_size(wanted));
  if (chunk_size < wanted || chunk_size > std::max(needed, kLargestSharedChunk)) {
    return Status(Code::kInvalid, "client " + std::to_string(owner.value) +
                                      " asked for a chunk of " + amount(chunk_size) +
                                      " to hold an object of " + amount(wanted));
  }
  const uint64_t room = budget_ > charged_ ? budget_ - charged_ : 0;
  if (needed > room && !control) return refuse(wanted);
  const uint64_t available = available_();
  if (available < kMemoryReserve || available - kMemoryReserve < needed) {
    return Status(Code::kFull, "the machine has " + amount(available) +
                                   " of memory left, too little for an object of " +
                                   amount(wanted) + " and a reserve of " + amount(kMemoryReserve) +
                                   "; end other programs or use fewer workers");
  }
  if (last_id_ == UINT32_MAX) {
    return Status(Code::kFull, "all chunk numbers are used up; restart the runtime");
  }

  // Many small ones follow each other where objects are moved in a full store: not a chunk for each.
  const uint64_t most = std::max(room / kPage * kPage, control ? kControlChunk : 0);
  const uint64_t size = std::max(needed, std::min(page_round(chunk_size), most));
  auto memfd = os::create_memfd("chunk", size);
  if (!memfd.is_ok()) return memfd.status();
  const ChunkId id{++last_id_};
  const auto [chunk, added] =
      chunks_.emplace(id, Chunk{memfd.take(), owner, size, needed, ++changes_});
  enter(chunk->second);
  return Grant{id, size};
}

uint64_t Registry::missing(uint64_t wanted) const {
  const auto lack = [](uint64_t need, uint64_t have) { return need > have ? need - have : 0; };
  const uint64_t needed = page_round(span_size(wanted));
  return std::max(lack(charged_ + needed, budget_), lack(kMemoryReserve + needed, available_()));
}

bool Registry::may_fit(uint64_t wanted) const {
  return wanted <= budget_ && page_round(span_size(wanted)) <= budget_;
}

const os::Fd* Registry::fd(ChunkId id) const {
  const auto found = chunks_.find(id);
  return found == chunks_.end() ? nullptr : &found->second.fd;
}

uint64_t Registry::size(ChunkId id) const {
  const auto found = chunks_.find(id);
  return found == chunks_.end() ? 0 : found->second.size;
}

Status Registry::seal_object(const Location& where, ClientId owner, ObjectId object) {
  const auto found = chunks_.find(where.chunk);
  if (found == chunks_.end()) {
    return Status(Code::kNotFound, name(where) + ": there is no such chunk");
  }
  Chunk& chunk = found->second;
  if (chunk.owner != owner) {
    return Status(Code::kInvalid, name(where) + ": the chunk belongs to client " +
                                      std::to_string(chunk.owner.value) + ", not to client " +
                                      std::to_string(owner.value));
  }
  const bool fits = in_range(where, chunk.size) && where.offset % kAlignment == 0 &&
                    where.offset + span_size(where.size) <= chunk.size;
  const uint64_t span = fits ? span_size(where.size) : 0;
  if (!fits || span > chunk.size - chunk.live) {
    return Status(Code::kInvalid, name(where) + ": the chunk has " + std::to_string(chunk.size) +
                                      " bytes, " + std::to_string(chunk.live) +
                                      " of them live, and objects begin at multiples of " +
                                      std::to_string(kAlignment));
  }
  if (!chunk.has_seals) {
    const auto seals = os::seals(chunk.fd);
    if (!seals.is_ok()) return seals.status();
    if ((*seals & kNeededSeals) != kNeededSeals) {
      return Status(Code::kInvalid, name(where) + ": the client has not sealed its chunk");
    }
  }
  leave(chunk);
  chunk.has_seals = true;
  chunk.live += span;
  chunk.charge = std::max(chunk.charge, page_round(where.offset + span));
  chunk.objects.insert(object.value, where.offset);
  chunk.changed = ++changes_;
  enter(chunk);
  return Status();
}

std::optional<Freed> Registry::free_object(const Location& where, ObjectId object) {
  const auto found = chunks_.find(where.chunk);
  if (found == chunks_.end()) return std::nullopt;
  Chunk& chunk = found->second;
  const uint64_t* offset = chunk.objects.find(object.value);
  if (offset == nullptr || *offset != where.offset || where.size > chunk.size) return std::nullopt;
  const uint64_t span = span_size(where.size);
  if (span > chunk.live) return std::nullopt;
  leave(chunk);
  chunk.objects.erase(object.value);
  chunk.live -= span;
  chunk.changed = ++changes_;
  enter(chunk);
  const Freed freed{chunk.owner, chunk.orphaned, chunk.live == 0};
  if (freed.orphaned && freed.empty) erase(found);
  return freed;
}

void Registry::rename_object(const Location& where, ObjectId from, ObjectId to) {
  const auto found = chunks_.find(where.chunk);
  if (found == chunks_.end() || from == to || !found->second.objects.erase(from.value)) return;
  found->second.objects.insert(to.value, where.offset);
}

std::vector<Lodger> Registry::objects(ChunkId id) const {
  std::vector<Lodger> all;
  const auto found = chunks_.find(id);
  if (found == chunks_.end()) return all;
  found->second.objects.for_each(
      [&all](uint64_t object, uint64_t offset) { all.push_back({ObjectId{object}, offset}); });
  std::sort(all.begin(), all.end(),
            [](const Lodger& a, const Lodger& b) { return a.offset < b.offset; });
  return all;
}

std::optional<ObjectId> Registry::sole_object(ChunkId id) const {
  const auto found = chunks_.find(id);
  if (found == chunks_.end() || found->second.objects.size() != 1) return std::nullopt;
  ObjectId sole{0};
  found->second.objects.for_each([&sole](uint64_t object, uint64_t) { sole = ObjectId{object}; });
  return sole;
}

std::vector<ChunkId> Registry::orphan(ClientId owner) {
  // All chunks are looked at: there are some thousands at most, and deaths are rare.
  std::vector<ChunkId> closed;
  for (auto& [id, chunk] : chunks_) {
    if (chunk.owner != owner) continue;
    chunk.orphaned = true;
    if (chunk.live == 0) closed.push_back(id);
  }
  for (ChunkId id : closed) erase(chunks_.find(id));
  std::sort(closed.begin(), closed.end());
  return closed;
}

bool Registry::close(ChunkId id) {
  const auto found = chunks_.find(id);
  if (found == chunks_.end() || found->second.live != 0) return false;
  erase(found);
  return true;
}

bool Registry::give_back(ChunkId id, ClientId owner) {
  const auto found = chunks_.find(id);
  return found != chunks_.end() && found->second.owner == owner && close(id);
}

bool Registry::retire(ChunkId id) {
  const auto found = chunks_.find(id);
  if (found == chunks_.end() || found->second.retired) return false;
  leave(found->second);
  found->second.retired = true;
  enter(found->second);
  return true;
}

std::optional<Nanos> Registry::next_surplus() const {
  if (!has_surplus()) return std::nullopt;
  return newer_.time + kEmptyFor;
}

std::vector<ChunkId> Registry::surplus(Nanos now) {
  std::vector<ChunkId> found;
  if (!has_surplus() || now < newer_.time + kEmptyFor) return found;
  older_ = std::exchange(newer_, Mark{changes_, now});
  uint64_t kept = idle_;
  for (ChunkId id : empty_chunks()) {
    const Chunk& chunk = chunks_.find(id)->second;
    if (chunk.changed > older_.changes) break;  // as are all that follow
    // What was granted and never used is of no worth to anybody, but it is charged.
    if (chunk.has_seals && kept <= kWarmBytes) continue;
    if (chunk.has_seals) kept -= chunk.charge;
    found.push_back(id);
  }
  return found;
}

std::vector<ChunkId> Registry::excess() const {
  std::vector<ChunkId> found;
  uint64_t limit = std::max(kWarmBytes, live_ / 8);
  if (idle_ <= limit) return found;
  const std::vector<ChunkId> empty = empty_chunks();
  for (ChunkId id : empty) limit = std::max(limit, 2 * chunks_.find(id)->second.charge);
  uint64_t kept = idle_;
  for (size_t i = 0; i < empty.size() && kept > limit; ++i) {
    const Chunk& chunk = chunks_.find(empty[i])->second;
    if (!chunk.has_seals) continue;
    kept -= chunk.charge;
    found.push_back(empty[i]);
  }
  return found;
}

std::vector<ChunkId> Registry::empty_chunks() const {
  std::vector<std::pair<uint64_t, ChunkId>> empty;
  for (const auto& [id, chunk] : chunks_) {
    if (chunk.live == 0 && !chunk.retired) empty.emplace_back(chunk.changed, id);
  }
  std::sort(empty.begin(), empty.end());
  std::vector<ChunkId> ids;
  for (const auto& [changed, id] : empty) ids.push_back(id);
  return ids;
}

RegistryStats Registry::stats() const {
  RegistryStats stats{budget_, 0, charged_, live_, warm_, chunks_.size(), 0};
  for (const auto& [id, chunk] : chunks_) {
    stats.granted += chunk.size;
    stats.largest = std::max(stats.largest, chunk.size);
  }
  return stats;
}

std::optional<ChunkInfo> Registry::info(ChunkId id) const {
  const auto found = chunks_.find(id);
  if (found == chunks_.end()) return std::nullopt;
  const Chunk& chunk = found->second;
  return ChunkInfo{id,         chunk.owner,   chunk.size,     chunk.charge,
                   chunk.live, chunk.changed, chunk.orphaned, chunk.retired,
                   chunk.has_seals};
}

std::vector<ChunkInfo> Registry::chunks() const {
  std::vector<ChunkInfo> all;
  for (const auto& [id, chunk] : chunks_) all.push_back(*info(id));
  std::sort(all.begin(), all.end(),
            [](const ChunkInfo& a, const ChunkInfo& b) { return a.id < b.id; });
  return all;
}

bool Registry::is_valid() const {
  Registry fresh(budget_, available_);  // counts the same chunks again
  for (const auto& [id, chunk] : chunks_) {
    if (id.value == 0 || id.value > last_id_ || !chunk.fd.valid()) return false;
    if (chunk.live > chunk.size || chunk.charge > chunk.size) return false;
    if (chunk.orphaned && chunk.live == 0) return false;
    if ((chunk.live == 0) != chunk.objects.empty()) return false;
    fresh.enter(chunk);
  }
  return fresh.charged_ == charged_ && fresh.live_ == live_ && fresh.warm_ == warm_ &&
         fresh.idle_ == idle_ && fresh.unused_ == unused_;
}

Status Registry::refuse(uint64_t wanted) const {
  if (wanted > budget_) {
    return Status(Code::kFull, "an object of " + amount(wanted) +
                                   " is larger than the whole object store of " + amount(budget_) +
                                   "; start with a larger object_store_memory");
  }
  return Status(Code::kFull, "the object store has no room for an object of " + amount(wanted) +
                                 ": " + amount(charged_) + " of its " + amount(budget_) +
                                 " are in use; drop references that are no longer needed, or start "
                                 "with a larger object_store_memory");
}

void Registry::count(const Chunk& chunk, int64_t sign) {
  const auto add = [sign](uint64_t& sum, uint64_t amount) {
    sum += static_cast<uint64_t>(sign * static_cast<int64_t>(amount));
  };
  add(charged_, chunk.charge);
  add(live_, chunk.live);
  if (chunk.live != 0) return;
  add(warm_, chunk.charge);
  if (chunk.retired) return;
  if (chunk.has_seals) {
    add(idle_, chunk.charge);
  } else {
    add(unused_, 1);
  }
}

void Registry::erase(Chunks::iterator chunk) {
  leave(chunk->second);
  chunks_.erase(chunk);
}

}  // namespace bolide::store

// store_world: the node's side of the store without a node: reference table, chunks, mover, and
// writing clients, all in this process. Not a test itself.
//
// Objects are filled with a byte that tells which one it is, so that a value in the wrong place is
// noticed. Methods take the lock themselves.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "node/mover.h"
#include "node/objects.h"
#include "node/spiller.h"
#include "store/arena.h"
#include "store/sizes.h"

namespace bolide::node::testing {

using store::kKiB;
using store::kMiB;
using store::ObjectEntry;

class StoreWorld : public ObjectsOwner, public MoverOwner, public SpillerOwner {
 public:
  explicit StoreWorld(uint64_t budget = 1000 * kMiB, const char* directory = "/var/tmp")
      : objects(budget, *this),
        mover(mutex, objects, views, io, *this),
        files(directory, 1),
        spiller(mutex, objects, io, mover, *this, *this) {
    arenas[kNode];
  }
  ~StoreWorld() override { io.stop(); }

  static std::byte mark_of(ObjectId id) { return static_cast<std::byte>(id.value * 37 + 11); }

  // put makes an object of `size` bytes, written by `client`, with one reference.
  ObjectEntry* put(ClientId client, uint64_t size) {
    MutexLock lock(mutex);
    store::Slot slot{};
    const Status room = reserve(client, size, false, &slot);
    REQUIRE(room.is_ok());
    const ObjectId id = make_object_id(client, ++last_object_);
    if (size != 0) std::memset(slot.data, static_cast<int>(mark_of(id)), size);
    ObjectEntry* entry = objects.add(id, 1);
    REQUIRE(objects.seal(entry, slot.where, client, 0).is_ok());
    return entry;
  }

  // put_apart makes one that has no name until it enters the table.
  ObjectEntry* put_apart(ClientId client, uint64_t size) {
    MutexLock lock(mutex);
    store::Slot slot{};
    REQUIRE(reserve(client, size, false, &slot).is_ok());
    ObjectEntry* entry = objects.table().add_apart(make_object_id(client, ++last_object_));
    entry->refs = 1;
    std::memset(slot.data, static_cast<int>(mark_of(entry->id)), size);
    REQUIRE(objects.seal(entry, slot.where, client, 0).is_ok());
    return entry;
  }

  void drop(ObjectEntry* entry) {
    MutexLock lock(mutex);
    objects.release(entry);
  }

  // spill begins to free memory, and waits until that is done.
  bool spill(uint64_t bytes) {
    bool coming;
    {
      MutexLock lock(mutex);
      coming = spiller.make_room(bytes, now_ += 10 * kSecond);
    }
    wait_for_moves();
    return coming;
  }

  // fetch brings a value back; false: it could not be.
  bool fetch(ObjectEntry* entry) {
    {
      MutexLock lock(mutex);
      spiller.bring_back(entry, now_);
    }
    for (;;) {
      MutexLock lock(mutex);
      if (returned.erase(entry) != 0) return !entry->presence.is_away();
      spiller.step(now_ += kMillisecond);
      lock.unlock();
      std::this_thread::yield();
    }
  }

  // view pins an object as a view does, and checks its bytes. False: it is elsewhere.
  bool view(ObjectEntry* entry) {
    if (!entry->presence.pin()) return false;
    check_bytes(entry);
    return true;
  }
  void unview(ObjectEntry* entry) { entry->presence.unpin(); }

  void check_bytes(ObjectEntry* entry) {
    const Location where = entry->where;  // it is pinned, or the lock is held
    const std::byte* bytes = views.resolve(where);
    if (bytes == nullptr) {
      MutexLock lock(mutex);
      bytes = resolve_locked(where);
    }
    REQUIRE(bytes != nullptr);
    const std::byte mark = mark_of(entry->id);
    REQUIRE(std::all_of(bytes, bytes + where.size, [mark](std::byte b) { return b == mark; }));
  }

  // tell: some worker is told where the object lies. It forgets when it is asked to, if it may.
  void tell(ObjectEntry* entry, bool forgets) {
    MutexLock lock(mutex);
    ++entry->readers;
    if (forgets) forgetful.insert(entry);
  }
  void untell(ObjectEntry* entry) {
    MutexLock lock(mutex);
    --entry->readers;
  }

  void kill(ClientId client) {
    MutexLock lock(mutex);
    for (ChunkId chunk : objects.registry().orphan(client)) chunk_closed(chunk);
    arenas.erase(client);
  }

  // compact looks again and again until nothing is under way and nothing more begins.
  void compact() {
    for (int still = 0; still < 3; ++still) {
      uint64_t moving;
      {
        MutexLock lock(mutex);
        mover.compact(now_ += 10 * kSecond);
        moving = mover.bytes_in_flight();
      }
      if (moving == 0) continue;
      still = 0;
      wait_for_moves();
    }
  }
  void wait_for_moves() {
    for (;;) {
      MutexLock lock(mutex);
      if (mover.bytes_in_flight() == 0) return;
      lock.unlock();
      std::this_thread::yield();
    }
  }

  store::RegistryStats stats() {
    MutexLock lock(mutex);
    return objects.registry().stats();
  }
  bool is_valid() {
    MutexLock lock(mutex);
    for (const auto& [client, arena] : arenas) {
      if (!arena.is_valid()) return false;
    }
    return objects.registry().is_valid();
  }

  // ObjectsOwner
  void span_freed(ClientId owner, const Location& where) override {
    REQUIRE(arenas.at(owner).free(where));
    end_retired(owner);
  }
  void chunk_closed(ChunkId chunk) override { views.drop(chunk); }
  void store_changed() override {}
  void function_freed(ObjectId) override {}
  void actor_freed(ObjectId) override {}
  void group_freed(ObjectId) override {}
  void stream_freed(ObjectId) override {}

  // MoverOwner
  void retire(ChunkId chunk) override {
    if (!objects.registry().retire(chunk)) return;
    const auto info = objects.registry().info(chunk);
    if (info->orphaned) return;
    arenas.at(info->owner).retire(chunk);
    end_retired(info->owner);
  }
  Status reserve_for_move(uint64_t size, store::Slot* slot) override {
    return reserve(kNode, size, true, slot);
  }
  void free_span(const Location& where) override { span_freed(kNode, where); }
  const std::byte* resolve_locked(const Location& where) override {
    const os::Fd* fd = objects.registry().fd(where.chunk);
    if (fd == nullptr) return nullptr;
    REQUIRE(views.add(where.chunk, *fd, objects.registry().size(where.chunk)).is_ok());
    return views.resolve(where);
  }
  Result<store::SpillPlace> place_on_disk(uint64_t size) override { return files.place(size); }
  void failed_to_spill(const Status& why) override {
    spiller.write_failed(why, now_);
    spill_errors.push_back(why.message());
  }
  void place_freed(ObjectId object, store::SpillPlace place) override {
    static_cast<void>(std::move(place));
    spiller.forget_failure(object);
  }
  bool may_move_function(ObjectId) override { return false; }
  void recall(std::span<ObjectEntry* const> entries) override {
    for (ObjectEntry* entry : entries) {
      ++recalls;
      if (forgetful.erase(entry) != 0) --entry->readers;
    }
  }
  void moved(bool) override {}

  // SpillerOwner
  Status room_for_return(uint64_t size, store::Slot* slot) override {
    return reserve(kNode, size, false, slot);
  }
  void value_returned(ObjectEntry* entry) override { returned.insert(entry); }
  std::string holders_of(const ObjectEntry*) override { return "held by a test"; }
  Status no_room(uint64_t size) override { return objects.registry().refuse(size); }

  Mutex mutex;
  Objects objects;
  store::Views views;
  store::IoPool io{2};
  Mover mover;
  store::SpillFiles files;
  Spiller spiller;
  std::vector<std::string> spill_errors;
  std::set<ObjectEntry*> returned;
  std::map<ClientId, store::Arena> arenas;
  std::set<ObjectEntry*> forgetful;
  uint64_t recalls = 0;

 protected:
  Status reserve(ClientId client, uint64_t size, bool control, store::Slot* slot) {
    store::Arena& arena = arenas[client];
    auto found = arena.allocate(size);
    if (!found) {
      auto grant = objects.registry().grant(client, arena.chunk_size_for(size), size, control);
      if (!grant.is_ok()) return grant.status();
      const os::Fd& fd = *objects.registry().fd(grant->id);
      REQUIRE(arena.add_chunk(grant->id, fd, grant->size).is_ok());
      found = arena.allocate(size);
    }
    REQUIRE(found.has_value());
    *slot = *found;
    return Status();
  }

  void end_retired(ClientId client) {
    for (ChunkId chunk : arenas.at(client).take_ended()) {
      REQUIRE(objects.registry().give_back(chunk, client));
      chunk_closed(chunk);
    }
  }

  uint64_t last_object_ = 0;
  Nanos now_ = 0;
};

}  // namespace bolide::node::testing

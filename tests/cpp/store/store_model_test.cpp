// A random walk over Registry, Arenas and Views together, against a model: what was written is
// what is read, whatever dies, is freed, trimmed or refused in between, and the books balance.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "store/arena.h"
#include "store/registry.h"
#include "store/views.h"
#include "store_testing.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

namespace {

struct Object {
  Location where;
  std::byte mark;
};

// One node, some clients and one reader, in a single thread.
class World {
 public:
  explicit World(std::mt19937_64& random)
      : random_(random),
        largest_(below(random, 2) == 0 ? 5 * kMiB : 50 * kMiB),
        budget_(5 * largest_),
        registry_(budget_, [this] { return available_; }) {
    for (int i = 0; i < 3; ++i) start_client();
  }

  void step() {
    now_ += static_cast<Nanos>(below(random_, 400)) * kMillisecond;
    const uint64_t action = below(random_, 100);
    if (action < 50)
      put();
    else if (action < 85)
      drop_object();
    else if (action < 90)
      pin_object();
    else if (action < 94)
      unpin();
    else if (action < 97)
      retire_some();
    else if (action < 98)
      drop_all();
    else if (action < 99)
      pressure();
    else
      kill_client();
    check();
  }

  void finish() {
    while (!pinned_.empty()) unpin();
    drop_all();
    while (!clients_.empty()) kill_client(false);
    check();
    REQUIRE(registry_.stats().chunks == 0);
    REQUIRE(registry_.stats().touched == 0);
    REQUIRE(views_.mapped_bytes() == 0);
  }

  uint64_t retired() const { return retired_; }

 private:
  void start_client() { clients_[ClientId{++last_client_}] = std::make_unique<Arena>(); }

  auto any_client() {
    return std::next(clients_.begin(), static_cast<long>(below(random_, clients_.size())));
  }

  void put() {
    auto& [client, arena] = *any_client();
    const uint64_t size = below(random_, 4) == 0
                              ? kMiB + below(random_, largest_ - kMiB)
                              : below(random_, uint64_t{1} << below(random_, 18));
    available_ = below(random_, 20) == 0 ? 0 : uint64_t{1} << 40;
    auto slot = arena->allocate(size);
    if (!slot) {
      const auto grant = registry_.grant(client, arena->chunk_size_for(size), size, false);
      if (!grant.is_ok()) {
        REQUIRE(grant.status().code() == Code::kFull);
        const bool over = registry_.stats().touched + page_round(span_size(size)) > budget_;
        REQUIRE((over || available_ == 0));
        return;
      }
      REQUIRE(arena->add_chunk(grant->id, *registry_.fd(grant->id), grant->size).is_ok());
      slot = arena->allocate(size);
      REQUIRE(slot.has_value());
    }
    if (below(random_, 20) == 0) {  // the value could not be written after all
      REQUIRE(arena->free(slot->where));
      end_retired();
      return;
    }
    const auto mark = std::byte(random_() & 0xff);
    if (size != 0) {
      slot->data[0] = slot->data[size / 2] = slot->data[size - 1] = mark;
    }
    REQUIRE(seal(registry_, slot->where, client).is_ok());
    objects_.push_back({slot->where, mark});
  }

  void drop_object() {
    if (objects_.empty()) return;
    const size_t i = below(random_, objects_.size());
    const Location where = objects_[i].where;
    objects_[i] = objects_.back();
    objects_.pop_back();
    const auto freed = free(registry_, where);
    REQUIRE(freed.has_value());
    REQUIRE(freed->orphaned != clients_.contains(freed->owner));
    if (!freed->orphaned) {
      REQUIRE(clients_[freed->owner]->free(where));
      end_retired();
    } else if (freed->empty) {
      closed(where.chunk);
    }
  }

  void drop_all() {
    while (!objects_.empty()) drop_object();
  }

  // A reader maps the chunk when it must, and keeps a buffer in it past the object's end.
  void pin_object() {
    if (objects_.empty()) return;
    const Object object = objects_[below(random_, objects_.size())];
    const ChunkId chunk = object.where.chunk;
    if (!views_.has(chunk)) {
      REQUIRE(views_.add(chunk, *registry_.fd(chunk), registry_.size(chunk)).is_ok());
    }
    check_bytes(views_.resolve_pinned(object.where), object);
    pinned_.push_back(chunk);
  }

  void unpin() {
    if (pinned_.empty()) return;
    const size_t i = below(random_, pinned_.size());
    REQUIRE(views_.unpin(pinned_[i]));
    pinned_[i] = pinned_.back();
    pinned_.pop_back();
  }

  void closed(ChunkId id) {
    const bool known = views_.has(id);
    const bool pinned = std::count(pinned_.begin(), pinned_.end(), id) != 0;
    REQUIRE(views_.drop(id) == (known && !pinned));
  }

  void give_back(ClientId client, const std::vector<ChunkId>& chunks) {
    for (ChunkId id : chunks) {
      REQUIRE(registry_.give_back(id, client));
      closed(id);
    }
  }

  // The node asks for what is surplus, and sometimes for a chunk that is in use.
  void retire_some() {
    const auto due = registry_.next_surplus();
    std::vector<ChunkId> wanted = registry_.surplus(now_);
    REQUIRE((wanted.empty() || (due.has_value() && *due <= now_)));
    if (!objects_.empty() && below(random_, 4) == 0) {
      wanted.push_back(objects_[below(random_, objects_.size())].where.chunk);
    }
    for (ChunkId id : wanted) {
      if (!registry_.retire(id)) continue;
      ++retired_;
      const auto writer = clients_.find(registry_.info(id)->owner);
      if (writer != clients_.end()) writer->second->retire(id);
    }
    end_retired();
  }

  void end_retired() {
    for (auto& [client, arena] : clients_) give_back(client, arena->take_ended());
  }

  void pressure() {
    for (auto& [client, arena] : clients_) {
      give_back(client, arena->give_back_all_empty());
      REQUIRE(arena->stats().warm == 0);
    }
  }

  void kill_client(bool replace = true) {
    const auto victim = any_client();
    for (ChunkId id : registry_.orphan(victim->first)) closed(id);
    clients_.erase(victim);
    if (replace) start_client();
  }

  void check_bytes(const std::byte* bytes, const Object& object) {
    REQUIRE(bytes != nullptr);
    const uint64_t size = object.where.size;
    if (size == 0) return;
    REQUIRE(bytes[0] == object.mark);
    REQUIRE(bytes[size / 2] == object.mark);
    REQUIRE(bytes[size - 1] == object.mark);
  }

  void check() {
    uint64_t live = 0;
    for (const Object& object : objects_) {
      live += span_size(object.where.size);
      if (const std::byte* bytes = views_.resolve(object.where)) check_bytes(bytes, object);
    }
    const RegistryStats stats = registry_.stats();
    REQUIRE(registry_.is_valid());
    REQUIRE(stats.live == live);
    REQUIRE(stats.live + stats.warm <= stats.touched);
    REQUIRE(stats.touched <= stats.granted);
    uint64_t used = 0;
    for (const auto& [client, arena] : clients_) {
      REQUIRE(arena->is_valid());
      used += arena->stats().used;
    }
    REQUIRE(used <= live);  // the rest lies in orphaned chunks
    REQUIRE(views_.stats().pins == pinned_.size());
  }

  std::mt19937_64& random_;
  const uint64_t largest_;  // size of an object
  const uint64_t budget_;
  uint64_t available_ = uint64_t{1} << 40;
  Registry registry_;
  Views views_;
  std::map<ClientId, std::unique_ptr<Arena>> clients_;
  std::vector<Object> objects_;
  std::vector<ChunkId> pinned_;
  uint32_t last_client_ = 0;
  Nanos now_ = 0;
  uint64_t retired_ = 0;  // chunks
};

}  // namespace

TEST_CASE("store: registry, arenas and views agree with a model, at random") {
  uint64_t retired = 0;
  for_seeds(25, [&retired](std::mt19937_64& random) {
    World world(random);
    for (int i = 0; i < 600; ++i) world.step();
    world.finish();
    retired += world.retired();
  });
  // The walk gets to all of it; one seed alone need not.
  if (std::getenv("BOLIDE_TEST_SEED") == nullptr) CHECK(retired != 0);
}

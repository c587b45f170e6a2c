// ObjectTable: entries from pending to ready to gone, the four ways to keep a value, contained
// ids, and a random walk against a model.
#include "store/object_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "store_testing.h"
#include "support/forked.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

namespace {

ObjectId id(uint64_t counter) { return make_object_id(ClientId{3}, counter); }

std::string inline_text(const ObjectEntry* entry) {
  const ValueBytes value = ObjectTable::inline_value(entry);
  return {reinterpret_cast<const char*>(value.data), value.size};
}

std::vector<ObjectId> contained(const ObjectTable& table, const ObjectEntry* entry) {
  const auto* ids = table.contained(entry);
  return ids == nullptr ? std::vector<ObjectId>{} : *ids;
}

}  // namespace

TEST_CASE("object table: a fresh entry is pending and blank, and is found by its id") {
  ObjectTable table;
  CHECK(table.find(id(1)) == nullptr);
  ObjectEntry* entry = table.add(id(1));
  CHECK(table.find(id(1)) == entry);
  CHECK(table.find(id(2)) == nullptr);
  CHECK(table.size() == 1);
  CHECK(entry->id == id(1));
  CHECK_FALSE(entry->ready());
  CHECK(entry->holding == Holding::kNothing);
  CHECK(entry->flags == 0);
  CHECK(entry->value_flags == 0);
  CHECK(entry->refs == 0);
  CHECK(entry->handle == nullptr);
  CHECK(entry->producer == nullptr);
  table.erase(entry);
  CHECK(table.find(id(1)) == nullptr);
  CHECK(table.size() == 0);
}

TEST_CASE("object table: an entry that is used again has nothing of its former life") {
  ObjectTable table;
  ObjectEntry* first = table.add(id(1));
  table.set_inline(first, "a value", 7, 1);
  first->refs = 3;
  first->flags = kWatched | kHasDependents | kAsked | kAskedReady | kKnownReady;
  table.erase(first);
  ObjectEntry* second = table.add(id(2));
  REQUIRE(second == first);  // the place is taken again at once
  CHECK_FALSE(second->ready());
  CHECK(second->holding == Holding::kNothing);
  CHECK(second->flags == 0);
  CHECK(second->value_flags == 0);
  CHECK(second->small_size == 0);
  CHECK(second->refs == 0);
  CHECK(second->handle == nullptr);
  CHECK(second->producer == nullptr);
}

TEST_CASE("object table: small values lie in the entry, larger ones on the heap") {
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{kSmallBytes}, uint64_t{kSmallBytes + 1},
                        uint64_t{100'000}}) {
    CAPTURE(size);
    ObjectTable table;
    ObjectEntry* entry = table.add(id(1));
    const std::string text(size, 'v');
    table.set_inline(entry, size == 0 ? nullptr : text.data(), size, 5);
    CHECK(entry->ready());
    CHECK(entry->value_flags == 5);
    CHECK(entry->holding == (size <= kSmallBytes ? Holding::kSmall : Holding::kHeap));
    CHECK(inline_text(entry) == text);
    CHECK(table.heap_bytes() == (size <= kSmallBytes ? 0 : size));
    table.erase(entry);
    CHECK(table.heap_bytes() == 0);
  }
}

TEST_CASE("object table: what is left on the heap is freed with the table") {
  ObjectTable table;  // LeakSanitizer looks
  const std::string text(1000, 'x');
  table.set_inline(table.add(id(1)), text.data(), text.size(), 0);
  table.set_inline(table.add(id(2)), text.data(), 5, 0);
  table.set_stored(table.add(id(3)), at(1, 0, 1000), 0);
  CHECK(table.heap_bytes() == 1000);
}

TEST_CASE("object table: a stored value is a place, which erase does not touch") {
  ObjectTable table;
  ObjectEntry* entry = table.add(id(1));
  table.set_stored(entry, at(4, 64, 999), 2);
  CHECK(entry->ready());
  CHECK(entry->holding == Holding::kStored);
  CHECK(entry->value_flags == 2);
  CHECK(entry->where.chunk == ChunkId{4});
  CHECK(entry->where.offset == 64);
  CHECK(entry->where.size == 999);
  CHECK(table.heap_bytes() == 0);
  table.erase(entry);
  CHECK(table.size() == 0);
}

TEST_CASE("object table: where an object was made is noted once, and goes with it") {
  ObjectTable table;
  ObjectEntry* entry = table.add(id(1));
  CHECK(table.site(entry) == nullptr);
  CHECK_FALSE(table.knows_sites());
  table.set_site(entry, "put() at a.py:1 in f");
  table.set_site(entry, "put() at b.py:2 in g");
  REQUIRE(table.site(entry) != nullptr);
  CHECK(*table.site(entry) == "put() at a.py:1 in f");
  CHECK(table.knows_sites());
  ObjectEntry* other = table.add(id(2));
  table.set_site(other, "put() at a.py:1 in f");
  CHECK(table.site(other) == table.site(entry));
  table.erase(entry);
  ObjectEntry* next = table.add(id(3));
  REQUIRE(next == entry);
  CHECK(table.site(next) == nullptr);
}

TEST_CASE("object table: contained ids are kept in order and taken once") {
  ObjectTable table;
  ObjectEntry* entry = table.add(id(1));
  CHECK(table.contained(entry) == nullptr);
  CHECK(table.take_contained(entry).empty());
  table.set_contained(entry, nullptr, 0);
  CHECK((entry->flags & kHasContained) == 0);
  const uint64_t ids[] = {id(7).value, id(8).value, id(7).value};
  table.set_contained(entry, ids, 3);
  CHECK((entry->flags & kHasContained) != 0);
  CHECK(contained(table, entry) == std::vector<ObjectId>{id(7), id(8), id(7)});
  CHECK(table.take_contained(entry) == std::vector<ObjectId>{id(7), id(8), id(7)});
  CHECK((entry->flags & kHasContained) == 0);
  CHECK(table.contained(entry) == nullptr);
  CHECK(table.take_contained(entry).empty());
}

TEST_CASE("object table: an entry stays where it is while others come and go") {
  ObjectTable table;
  ObjectEntry* first = table.add(id(1));
  table.set_inline(first, "first", 5, 0);
  for (uint64_t i = 2; i < 3000; ++i) table.add(id(i));
  for (uint64_t i = 2; i < 3000; i += 2) table.erase(table.find(id(i)));
  CHECK(table.find(id(1)) == first);
  CHECK(inline_text(first) == "first");
  size_t seen = 0;
  table.for_each([&](ObjectEntry* entry) { seen += table.find(entry->id) == entry; });
  CHECK(seen == table.size());
}

TEST_CASE("object table: a thread that sees a value as ready sees the value") {
  ObjectTable table;
  ObjectEntry* entry = table.add(id(1));
  const std::string text(300, 'r');
  std::thread reader([&] {
    while (!entry->ready()) std::this_thread::yield();
    CHECK(inline_text(entry) == text);
    CHECK(entry->value_flags == 1);
  });
  table.set_inline(entry, text.data(), text.size(), 1);
  reader.join();
}

TEST_CASE("object table: an entry apart is found only when it has entered, with what it contains") {
  ObjectTable table;
  ObjectEntry* entry = table.add_apart(ObjectId{7});
  table.set_inline(entry, "value", 5, 0);
  const uint64_t inner[] = {1, 2};
  table.set_contained(entry, inner, 2);
  CHECK(table.find(ObjectId{7}) == nullptr);
  CHECK(table.size() == 0);
  table.enter(entry, ObjectId{9});
  CHECK(table.find(ObjectId{7}) == nullptr);
  CHECK(table.find(ObjectId{9}) == entry);
  CHECK(table.value_size(entry) == 5);
  CHECK(table.take_contained(entry) == std::vector<ObjectId>{ObjectId{1}, ObjectId{2}});
  table.erase(entry);

  ObjectEntry* same = table.add_apart(ObjectId{5});
  table.set_stored(same, at(3, 64, 4096), 0);
  table.set_contained(same, inner, 2);
  table.enter(same, ObjectId{5});
  CHECK(table.find(ObjectId{5}) == same);
  CHECK(table.value_size(same) == 4096);
  CHECK(table.take_contained(same).size() == 2);
  table.erase(same);

  ObjectEntry* other = table.add_apart(ObjectId{8});
  table.set_inline(other, nullptr, 0, 0);
  table.erase(other);  // it need not have entered
  CHECK(table.size() == 0);
}

#ifdef BOLIDE_DEBUG_CHECKS
TEST_CASE("object table: using an id twice, and losing contained ids, end the process") {
  const auto twice = support::forked([] {
    ObjectTable table;
    table.add(id(1));
    table.add(id(1));
    return 0;
  });
  CHECK(twice.said("an object id is used twice"));
  const auto nothing = support::forked([] {
    ObjectTable table;
    table.add(kNoObject);
    return 0;
  });
  CHECK(nothing.said("an object id is used twice"));
  const auto lost = support::forked([] {
    ObjectTable table;
    ObjectEntry* entry = table.add(id(1));
    const uint64_t inner = id(2).value;
    table.set_contained(entry, &inner, 1);
    table.erase(entry);
    return 0;
  });
  CHECK(lost.said("contained ids must be taken first"));
}
#endif

// ---- against a model

namespace {

struct Kept {
  bool ready = false;
  std::string text;
  std::vector<ObjectId> contained;
};

void check(ObjectTable& table, const std::map<uint64_t, Kept>& model) {
  REQUIRE(table.size() == model.size());
  uint64_t heap = 0;
  for (const auto& [key, kept] : model) {
    ObjectEntry* entry = table.find(ObjectId{key});
    REQUIRE(entry != nullptr);
    REQUIRE(entry->id.value == key);
    REQUIRE(entry->ready() == kept.ready);
    if (kept.ready) REQUIRE(inline_text(entry) == kept.text);
    if (kept.text.size() > kSmallBytes) heap += kept.text.size();
    REQUIRE(contained(table, entry) == kept.contained);
  }
  REQUIRE(table.heap_bytes() == heap);
}

}  // namespace

TEST_CASE("object table: a random walk agrees with a model") {
  for_seeds(20, [](std::mt19937_64& random) {
    ObjectTable table;
    std::map<uint64_t, Kept> model;
    uint64_t counter = 1;
    const uint64_t most = 1 + below(random, 1500);
    for (int step = 0; step < 3000; ++step) {
      auto any = model.begin();
      if (!model.empty()) std::advance(any, static_cast<long>(below(random, std::min<size_t>(model.size(), 20))));
      const uint64_t action = below(random, 10);
      if (action < 5 && model.size() < most) {
        const ObjectId fresh = make_object_id(ClientId{1 + static_cast<uint32_t>(below(random, 3))},
                                              counter);
        counter += 1 + below(random, 3);
        table.add(fresh);
        model[fresh.value];
      } else if (action < 7 && any != model.end() && !any->second.ready) {
        Kept& kept = any->second;
        kept.text.assign(below(random, 60), static_cast<char>('a' + step % 26));
        kept.ready = true;
        for (uint64_t i = below(random, 3); i > 0; --i) kept.contained.push_back(id(i));
        ObjectEntry* entry = table.find(ObjectId{any->first});
        std::vector<uint64_t> ids;
        for (ObjectId inner : kept.contained) ids.push_back(inner.value);
        table.set_contained(entry, ids.data(), static_cast<uint32_t>(ids.size()));
        table.set_inline(entry, kept.text.data(), kept.text.size(), 0);
      } else if (any != model.end()) {
        ObjectEntry* entry = table.find(ObjectId{any->first});
        REQUIRE(table.take_contained(entry) == any->second.contained);
        table.erase(entry);
        model.erase(any);
      }
      if (step % 100 == 0) check(table, model);
    }
    check(table, model);
  });
}

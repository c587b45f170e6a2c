// FlatMap against std::unordered_map: random changes over dense, clustered and colliding keys.
#include "base/flat_map.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <unordered_map>
#include <vector>

#include "support/seeds.h"

using bolide::FlatMap;

namespace {

using Model = std::unordered_map<uint64_t, int>;

bool same(FlatMap<int>& map, const Model& model) {
  if (map.size() != model.size() || map.empty() != model.empty()) return false;
  for (const auto& [key, value] : model) {
    int* found = map.find(key);
    if (found == nullptr || *found != value) return false;
  }
  size_t right = 0;
  map.for_each([&](uint64_t key, int& value) {
    auto entry = model.find(key);
    right += entry != model.end() && entry->second == value;
  });
  return right == model.size();
}

// A key whose product with the golden ratio, of which the map takes the highest bits, is this one.
uint64_t key_of_product(uint64_t product) {
  return product * 0xf1de83e19937733du;
}

// Keys with the same home slot, the last but one of 64 and near the end of larger tables.
uint64_t colliding(uint64_t i) { return key_of_product((uint64_t{62} << 58) + i); }

}  // namespace

TEST_CASE("an empty map finds and erases nothing") {
  FlatMap<int> map;
  CHECK(map.empty());
  CHECK(map.find(1) == nullptr);
  CHECK_FALSE(map.erase(1));
  map.clear();
  CHECK(map.size() == 0);
}

TEST_CASE("key 0 is in no map") {
  FlatMap<int> map;
  map.insert(5, 50);
  CHECK(map.find(0) == nullptr);
  CHECK_FALSE(map.erase(0));
  CHECK(map.size() == 1);
}

TEST_CASE("a value can be changed in its place") {
  FlatMap<int> map;
  map.insert(7, 1);
  *map.find(7) = 2;
  CHECK(*map.find(7) == 2);
  CHECK(map.find(8) == nullptr);
  CHECK_FALSE(map.erase(8));
  CHECK(map.erase(7));
  CHECK(map.find(7) == nullptr);
}

TEST_CASE("keys that share a home slot are all found while some of them go") {
  FlatMap<int> map;
  Model model;
  for (uint64_t i = 0; i < 20; ++i) {  // so runs wrap around
    uint64_t key = colliding(i);
    map.insert(key, static_cast<int>(i));
    model[key] = static_cast<int>(i);
  }
  for (uint64_t i = 0; i < 20; i += 2) {
    CHECK(map.erase(colliding(i)));
    model.erase(colliding(i));
    CHECK(same(map, model));
  }
}

TEST_CASE("random changes agree with a model for many seeds") {
  for (unsigned seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    FlatMap<int> map;
    Model model;
    bool agreed = true;
    for (int step = 0; step < 2000; ++step) {
      // Two clients' counters in a small range: collisions, runs and repeated keys.
      uint64_t key = ((random() % 2 + 1) << 40) + random() % 300 * (seed % 3 + 1);
      if (random() % 5 < 3) {
        if (model.contains(key)) continue;
        map.insert(key, step);
        model[key] = step;
      } else {
        agreed = agreed && map.erase(key) == (model.erase(key) == 1);
      }
    }
    CHECK(agreed);
    CHECK(same(map, model));
  }
}

// If one of them met the others' run, this would take hours: some 10^11 steps.
TEST_CASE("a million ids of one client go in any order, beside those of others") {
  constexpr uint64_t kIds = 1'000'000;
  const auto id = [](uint64_t client, uint64_t counter) { return client << 40 | counter; };
  FlatMap<int> map;
  for (uint64_t i = 1; i <= kIds; ++i) map.insert(id(1, i), 1);
  for (uint64_t client = 2; client < 50; ++client) {
    for (uint64_t i = 1; i <= 1000; ++i) map.insert(id(client, i), 2);
  }
  CHECK(map.size() == kIds + 48'000);
  bool all = true;
  for (uint64_t i = 1; i <= kIds / 2; ++i) all = all && map.erase(id(1, i));
  for (uint64_t i = kIds; i > kIds / 2; --i) all = all && map.erase(id(1, i));
  for (uint64_t client = 2; client < 50; ++client) {
    for (uint64_t i = 1; i <= 1000; ++i) all = all && map.erase(id(client, i));
  }
  CHECK(all);
  CHECK(map.empty());
}

TEST_CASE("a large map grows and shrinks again without losing an entry") {
  FlatMap<int> map;
  Model model;
  for (int i = 1; i <= 20'000; ++i) {
    map.insert(static_cast<uint64_t>(i), i);
    model[static_cast<uint64_t>(i)] = i;
  }
  CHECK(same(map, model));
  for (int i = 1; i <= 19'900; ++i) {
    map.erase(static_cast<uint64_t>(i));
    model.erase(static_cast<uint64_t>(i));
  }
  CHECK(same(map, model));
  map.clear();
  CHECK(same(map, {}));
  map.insert(5, 5);
  CHECK(*map.find(5) == 5);
}

namespace {

// Families of keys that are hard on a table of a power of two with linear probing.
struct Family {
  const char* name;
  uint64_t (*key)(uint64_t i);
};

constexpr Family kFamilies[] = {
    {"sequential", [](uint64_t i) { return i + 1; }},
    {"of tasks with 64 returns each", [](uint64_t i) { return 64 * (i + 1); }},
    {"with the same low bits", [](uint64_t i) { return (i + 1) << 20 | 5; }},
    {"with client bits only", [](uint64_t i) { return (i + 1) << 40; }},
    {"of clients that count alike", [](uint64_t i) { return (i % 7 + 1) << 40 | (i / 7 + 1); }},
    {"of the same home", [](uint64_t i) { return colliding(i); }},
    {"of four homes at the end of the table",
     [](uint64_t i) { return key_of_product(((60 + i % 4) << 58) + i); }},
    {"near the end of all numbers", [](uint64_t i) { return UINT64_MAX - i; }},
};

}  // namespace

TEST_CASE("keys that collide, in clusters that wrap around, agree with a model") {
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    support::for_seeds(12, [&](std::mt19937_64& random) {
      FlatMap<int> map;
      Model model;
      std::vector<uint64_t> keys(1 + support::below(random, 400));
      for (size_t i = 0; i < keys.size(); ++i) keys[i] = family.key(i);
      bool agreed = true;
      for (int round = 0; round < 8; ++round) {
        std::shuffle(keys.begin(), keys.end(), random);
        for (uint64_t key : keys) {
          if (model.contains(key) || support::one_in(random, 4)) continue;
          map.insert(key, round);
          model[key] = round;
        }
        agreed = agreed && same(map, model);
        // Neighbours go together, as the returns of a task do.
        if (support::one_in(random, 2)) std::sort(keys.begin(), keys.end());
        const size_t from = support::below(random, keys.size());
        const size_t count = support::below(random, keys.size() + 1);
        for (size_t i = 0; i < count; ++i) {
          const uint64_t key = keys[(from + i) % keys.size()];
          agreed = agreed && map.erase(key) == (model.erase(key) == 1);
          agreed = agreed && map.find(key) == nullptr;
        }
        agreed = agreed && same(map, model);
      }
      REQUIRE(agreed);
    });
  }
}

// Tests of held_memory.h: what is found by address, with several holders of one object.
#include "store/held_memory.h"

#include "store_testing.h"

using namespace bolide::store;

namespace {

// The holder found for [low, high), and where its object begins in *begin; nullptr: none.
void* found(const HeldMemory& held, uintptr_t low, uintptr_t high) {
  uintptr_t begin = 0;
  void* holder = held.find(low, high, &begin);
  if (holder != nullptr) CHECK(begin <= low);
  return holder;
}

}  // namespace

TEST_CASE("held memory: only what lies wholly in one object is found") {
  HeldMemory held;
  int a = 0, b = 0;
  CHECK(held.empty());
  CHECK(found(held, 0, 10) == nullptr);
  held.add(1000, 2000, &a);
  held.add(2000, 3000, &b);  // side by side
  CHECK_FALSE(held.empty());
  CHECK(found(held, 1000, 2000) == &a);
  CHECK(found(held, 1999, 2000) == &a);
  CHECK(found(held, 2000, 2001) == &b);
  CHECK(found(held, 1999, 2001) == nullptr);
  CHECK(found(held, 999, 1001) == nullptr);
  CHECK(found(held, 3000, 3001) == nullptr);
  uintptr_t begin = 0;
  CHECK(held.find(2500, 2600, &begin) == &b);
  CHECK(begin == 2000);
}

TEST_CASE("held memory: an object is found as long as one of its holders is there") {
  HeldMemory held;
  int holders[3];
  for (int& holder : holders) held.add(64, 128, &holder);
  for (int& holder : holders) {
    CHECK(found(held, 64, 128) != nullptr);
    held.remove(64, &holder);
  }
  CHECK(found(held, 64, 128) == nullptr);
  CHECK(held.empty());
  held.remove(64, &holders[0]);  // unknown: nothing happens
}

TEST_CASE("held memory: at the end of the address space") {
  HeldMemory held;
  int holder = 0;
  held.add(UINTPTR_MAX - 100, UINTPTR_MAX, &holder);
  CHECK(found(held, UINTPTR_MAX - 50, UINTPTR_MAX) == &holder);
  CHECK(found(held, 0, UINTPTR_MAX) == nullptr);
}

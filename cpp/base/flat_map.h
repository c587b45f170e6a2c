// flat_map: a hash map from a non-zero 64-bit key to a small trivially copyable value.
//
// Open addressing, linear probing, deletion by shifting back, so there are no tombstones and a
// table that saw a million inserts and erases is as good as new. Not a general container: no
// iterators that survive a change, key 0 means empty. Thread-compatible.
//
// Invariants: 1. Every key lies in the unbroken run of used slots that begins at its home slot.
// 2. Runs are short. Every operation walks to the end of one, erase in any case, and keys that are
// ids come as long series from a few clients; so neighbouring keys must not have neighbouring homes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace bolide {

template <class Value>
class FlatMap {
  static_assert(std::is_trivially_copyable_v<Value>);

 public:
  struct Slot {
    uint64_t key;
    Value value;
  };

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // find returns the value's place or nullptr; valid until the next insert or erase. Key 0, which a
  // damaged record may name, is in no map.
  Value* find(uint64_t key) {
    if (size_ == 0 || key == 0) return nullptr;
    for (size_t i = home(key);; i = next(i)) {
      if (slots_[i].key == key) return &slots_[i].value;
      if (slots_[i].key == 0) return nullptr;
    }
  }

  // insert sets the value of a key that is not in the map.
  void insert(uint64_t key, Value value) {
    if ((size_ + 1) * 3 > capacity_ * 2) resize(capacity_ == 0 ? 64 : capacity_ * 2);
    place(key, value);
    ++size_;
  }

  bool erase(uint64_t key) {
    if (size_ == 0 || key == 0) return false;
    size_t hole = home(key);
    while (slots_[hole].key != key) {
      if (slots_[hole].key == 0) return false;
      hole = next(hole);
    }
    for (size_t i = next(hole); slots_[i].key != 0; i = next(i)) {
      // The entry at i may move into the hole unless its home lies between the two.
      if (((i - home(slots_[i].key)) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole].key = 0;
    --size_;
    if (capacity_ > 4096 && size_ * 8 < capacity_) resize(capacity_ / 4);
    return true;
  }

  // for_each calls visit(key, value&) once for every entry; visit must not change the map.
  template <class Visit>
  void for_each(Visit visit) {
    for (size_t i = 0; i < capacity_; ++i) {
      if (slots_[i].key != 0) visit(slots_[i].key, slots_[i].value);
    }
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (size_t i = 0; i < capacity_; ++i) {
      if (slots_[i].key != 0) visit(slots_[i].key, std::as_const(slots_[i].value));
    }
  }

  void clear() {
    slots_.reset();
    capacity_ = size_ = 0;
  }

 private:
  size_t mask() const { return capacity_ - 1; }
  size_t next(size_t i) const { return (i + 1) & mask(); }
  // Fibonacci hashing: the multiples of the golden ratio, modulo 1, lie evenly spread, so the keys
  // of a series hardly ever meet. The high bits of the product depend on all bits of the key.
  size_t home(uint64_t key) const {
    return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> shift_);
  }

  void place(uint64_t key, Value value) {
    size_t i = home(key);
    while (slots_[i].key != 0) i = next(i);
    slots_[i] = Slot{key, value};
  }

  void resize(size_t capacity) {
    auto old = std::move(slots_);
    const size_t old_capacity = capacity_;
    slots_ = std::make_unique<Slot[]>(capacity);
    capacity_ = capacity;
    shift_ = std::countl_zero(capacity) + 1;
    for (size_t i = 0; i < old_capacity; ++i) {
      if (old[i].key != 0) place(old[i].key, old[i].value);
    }
  }

  std::unique_ptr<Slot[]> slots_;
  size_t capacity_ = 0;  // 0 or a power of two
  size_t size_ = 0;
  int shift_ = 0;  // of a 64-bit product that leaves a slot number
};

}  // namespace bolide

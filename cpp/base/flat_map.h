// flat_map: a hash map from a non-zero 64-bit key to a small trivially copyable value.
//
// Open addressing, linear probing, deletion by shifting back, so there are no tombstones and a
// table that saw a million inserts and erases is as good as new. Not a general container: no
// iterators that survive a change, key 0 means empty. Thread-compatible.
//
// Invariant: every key lies in the unbroken run of used slots that begins at its home slot.
#pragma once

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

  // find returns the value's place or nullptr; valid until the next insert or erase.
  Value* find(uint64_t key) {
    if (size_ == 0) return nullptr;
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
    if (size_ == 0) return false;
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

  void clear() {
    slots_.reset();
    capacity_ = size_ = 0;
  }

 private:
  size_t mask() const { return capacity_ - 1; }
  size_t next(size_t i) const { return (i + 1) & mask(); }
  // Neighbouring ids stay neighbours (they are made and dropped together, so they share cache
  // lines), while the client number in the high bits is spread over the table.
  size_t home(uint64_t key) const {
    return (key + (key >> 40) * 0x9e3779b97f4a7c15u) & mask();
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
    for (size_t i = 0; i < old_capacity; ++i) {
      if (old[i].key != 0) place(old[i].key, old[i].value);
    }
  }

  std::unique_ptr<Slot[]> slots_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace bolide

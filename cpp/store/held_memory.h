// held_memory: which stored objects the memory of this process shows, by address: so that an array
// which is about to be stored can be recognised as one that lies in the store already, whatever
// library made it and however many views are between.
//
// Each entry is one holder (a Python object of _hot_resident.pxi that keeps an object and its
// mapping alive) with the range of the whole object. Invariant: two ranges are equal or disjoint,
// since objects do not overlap and a holder always enters the whole of its object. Thread safety:
// the GIL.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

namespace bolide::store {

class HeldMemory {
 public:
  void add(uintptr_t begin, uintptr_t end, void* holder) { ends_[{begin, address(holder)}] = end; }
  void remove(uintptr_t begin, void* holder) { ends_.erase({begin, address(holder)}); }

  bool empty() const { return ends_.empty(); }

  // find is a holder whose object has the whole of [low, high), or nullptr; *begin is where its
  // object begins.
  void* find(uintptr_t low, uintptr_t high, uintptr_t* begin) const {
    auto after = ends_.upper_bound({low, UINTPTR_MAX});
    if (after == ends_.begin()) return nullptr;
    --after;
    if (high > after->second) return nullptr;
    *begin = after->first.first;
    return reinterpret_cast<void*>(after->first.second);
  }

 private:
  static uintptr_t address(void* holder) { return reinterpret_cast<uintptr_t>(holder); }

  std::map<std::pair<uintptr_t, uintptr_t>, uintptr_t> ends_;  // (begin, holder) -> end
};

}  // namespace bolide::store

// Presence: whether a stored value's bytes are where its entry says, and who in this process counts
// on it: readers for a moment, views for as long as they live.
//
//   reader                                  mover, under the lock of the table's owner
//   pin()                                   depart(): only while nobody has pinned
//     ok: read `where`, and the bytes         ok: change `where`; nobody reads it now
//         until unpin()                          arrive(), when the bytes are there
//     no: they are elsewhere; wait             no: try again later
//
// Both sides change one word, so either the reader's pin comes first and the mover finds it, or the
// mover's departure comes first and the reader finds that. A reader that comes too late takes its
// pin back; depart() may fail for that moment.
//
// Not a count of references: it says nothing about the object's life, and nothing about other
// processes (the node knows those, see `readers` in object_table.h).
//
// Thread safety: pin and unpin from any thread that holds a reference to the object; the others
// under the owner's lock.
#pragma once

#include <atomic>
#include <cstdint>

namespace bolide::store {

class Presence {
 public:
  // pin: the bytes stay where they are until unpin(). False: they are elsewhere.
  bool pin() {
    if ((word_.fetch_add(1, std::memory_order_acquire) & kAway) == 0) return true;  // arrive
    word_.fetch_sub(1, std::memory_order_relaxed);  // nothing was read
    return false;
  }
  void unpin() { word_.fetch_sub(1, std::memory_order_release); }  // partner: depart

  // depart begins a time in which nobody can pin. False: somebody has.
  bool depart() {
    uint32_t nobody = 0;
    return word_.compare_exchange_strong(nobody, kAway, std::memory_order_acquire,  // unpin
                                         std::memory_order_relaxed);
  }
  void arrive() { word_.fetch_and(~kAway, std::memory_order_release); }  // partner: pin

  bool is_away() const { return (word_.load(std::memory_order_relaxed) & kAway) != 0; }
  bool is_pinned() const { return (word_.load(std::memory_order_relaxed) & ~kAway) != 0; }

  void reset() { word_.store(0, std::memory_order_relaxed); }  // of an entry that nobody knows

 private:
  static constexpr uint32_t kAway = uint32_t{1} << 31;
  std::atomic<uint32_t> word_{0};
};

}  // namespace bolide::store

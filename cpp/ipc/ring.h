// ring: a queue of variable-sized records between exactly one producer and one consumer, which
// may be two processes that map the same memory or two threads of one process.
//
// Not a broadcast, not multi-producer; a process with several threads puts its own lock around
// its end. Positions are bytes since the ring was made, so they never wrap in practice (2^64).
//
// Invariants
//   1. Every shared word has one writer: the producer owns line 1 and all data bytes, the
//      consumer owns lines 2 to 4. Death at any instruction leaves a valid ring.
//   2. head <= tail <= head + capacity. A record becomes visible by one store of `tail`.
//   3. A record never wraps: what does not fit before the end is preceded by a kPad record.
//   4. Neither side trusts a length read from shared memory: it is copied once and checked.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/fault.h"

namespace bolide::ipc {

inline constexpr uint32_t kRingMagic = 0x626c7267;  // "blrg"
inline constexpr uint32_t kRingVersion = 3;
inline constexpr uint16_t kPad = 0xffff;

// What precedes every record. `size` counts the header and is a multiple of 8.
struct RecordHeader {
  uint32_t size;
  uint16_t type;
  uint16_t flags;  // written again by the producer only: see kRevoked in records.h
};
static_assert(sizeof(RecordHeader) == 8);

// The control block of a ring; the data bytes follow it. See docs/shared_memory_layout.md.
struct RingControl {
  // Line 0: constant once the creator has filled it.
  uint32_t magic;
  uint32_t version;
  uint64_t capacity;  // power of two
  uint8_t reserved0[48];

  // Line 1: written by the producer.
  alignas(64) std::atomic<uint64_t> tail;  // partner: RingConsumer::peek
  std::atomic<uint32_t> data_signal;       // futex word on which the consumer sleeps
  std::atomic<uint32_t> producer_waiting;  // the producer sleeps on space_signal
  std::atomic<uint32_t> verdict;           // even: no take-back is being decided
  uint8_t reserved1[4];
  std::atomic<uint64_t> interrupt;         // see interrupt.h
  uint8_t reserved5[32];

  // Line 2: written by the consumer.
  alignas(64) std::atomic<uint64_t> head;  // partner: RingProducer::reserve
  std::atomic<uint32_t> space_signal;      // futex word on which the producer sleeps
  uint8_t reserved2[52];

  // Line 3: written by the consumer for every task, so apart from what the producer reads.
  alignas(64) std::atomic<uint64_t> claimed;  // see claim.h
  std::atomic<uint64_t> interrupt_seen;       // see interrupt.h
  uint8_t reserved3[48];

  // Line 4: written by the consumer when it goes to sleep, read by the producer at every publish.
  alignas(64) std::atomic<uint32_t> consumer_waiting;  // Waiting: whether and how it sleeps
  uint8_t reserved4[60];
};
static_assert(sizeof(RingControl) == 320);
static_assert(offsetof(RingControl, tail) == 64);
static_assert(offsetof(RingControl, interrupt) == 88);
static_assert(offsetof(RingControl, head) == 128);
static_assert(offsetof(RingControl, claimed) == 192);
static_assert(offsetof(RingControl, interrupt_seen) == 200);
static_assert(offsetof(RingControl, consumer_waiting) == 256);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// How a consumer sleeps and is to be woken.
enum Waiting : uint32_t {
  kNotWaiting = 0,
  kOnSignal = 1,   // on data_signal
  kOnSocket = 2,   // an event loop: in poll, on the socket beside the link
};

inline constexpr uint64_t align8(uint64_t n) { return (n + 7) & ~uint64_t{7}; }

// format_ring makes `memory` (zero-filled, 64-byte aligned, sizeof(RingControl) + capacity
// bytes) an empty ring.
inline void format_ring(std::byte* memory, uint64_t capacity) {
  BOLIDE_CHECK(std::has_single_bit(capacity), "a ring's capacity must be a power of two");
  auto* control = reinterpret_cast<RingControl*>(memory);
  control->magic = kRingMagic;
  control->version = kRingVersion;
  control->capacity = capacity;
}

// valid_ring tells whether `memory` holds a ring of that capacity; a peer's header is checked
// with it once, before anything in it is used.
inline bool valid_ring(const std::byte* memory, uint64_t capacity) {
  const auto* control = reinterpret_cast<const RingControl*>(memory);
  return control->magic == kRingMagic && control->version == kRingVersion &&
         control->capacity == capacity;
}

// RingProducer is the writing end. Thread-compatible: one thread at a time.
class RingProducer {
 public:
  RingProducer() = default;
  RingProducer(std::byte* memory, uint64_t capacity)
      : control_(reinterpret_cast<RingControl*>(memory)),
        data_(memory + sizeof(RingControl)),
        capacity_(capacity) {}

  // reserve returns room for a record whose payload has `payload` bytes, or nullptr when the
  // ring has no room now. The record is invisible until commit() and publish().
  std::byte* reserve(uint64_t payload, uint16_t type, uint16_t flags = 0) {
    const uint64_t size = align8(sizeof(RecordHeader) + payload);
    uint64_t at = tail_ & (capacity_ - 1);
    const uint64_t pad = at + size > capacity_ ? capacity_ - at : 0;
    if (tail_ + pad + size - head_ > capacity_) {
      head_ = control_->head.load(std::memory_order_seq_cst);  // partner: release_space
      if (tail_ + pad + size - head_ > capacity_) return nullptr;
    }
    if (pad != 0) {
      write_header(at, RecordHeader{static_cast<uint32_t>(pad), kPad, 0});
      tail_ += pad;
      at = 0;
    }
    write_header(at, RecordHeader{static_cast<uint32_t>(size), type, flags});
    pending_ = size;
    return data_ + at + sizeof(RecordHeader);
  }

  // commit ends the record that reserve() began and returns the position of its header.
  uint64_t commit() {
    const uint64_t position = tail_;
    tail_ += pending_;
    pending_ = 0;
    BOLIDE_FAULT_AT("ring.commit");
    return position;
  }

  bool unpublished() const { return published_ != tail_; }

  // publish makes all committed records visible; true when the consumer sleeps and must be
  // woken with wake_consumer. Sequentially consistent: either the consumer sees the new tail
  // before it sleeps or this thread sees consumer_waiting.
  bool publish() {
    BOLIDE_FAULT_AT("ring.publish.1");
    control_->tail.store(tail_, std::memory_order_seq_cst);
    published_ = tail_;
    BOLIDE_FAULT_AT("ring.publish.2");
    return control_->consumer_waiting.load(std::memory_order_seq_cst) != 0;
  }

  // Bytes that the consumer has not yet given back, as of the last look.
  uint64_t refresh_used() {
    head_ = control_->head.load(std::memory_order_acquire);  // partner: release_space
    return tail_ - head_;
  }
  uint64_t capacity() const { return capacity_; }
  uint64_t largest_record() const { return capacity_ / 4; }
  uint64_t seen_head() const { return head_; }
  RingControl* control() const { return control_; }

  // flags_at is the flag half-word of the record at `position`; the caller guarantees that the
  // record has not been consumed (position >= seen_head()).
  std::atomic_ref<uint16_t> flags_at(uint64_t position) const {
    auto* header = reinterpret_cast<RecordHeader*>(data_ + (position & (capacity_ - 1)));
    return std::atomic_ref<uint16_t>(header->flags);
  }

 private:
  void write_header(uint64_t at, RecordHeader header) {
    std::memcpy(data_ + at, &header, sizeof header);
  }

  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  uint64_t capacity_ = 0;
  uint64_t tail_ = 0;       // where the next record begins
  uint64_t published_ = 0;  // what the consumer may see
  uint64_t head_ = 0;       // what the consumer had given back at the last look
  uint64_t pending_ = 0;    // size of the record between reserve and commit
};

// A record as the consumer sees it. `payload` points into the ring and is valid until
// release_space() is called after the record was popped.
struct Record {
  uint16_t type = kPad;
  uint16_t flags = 0;
  const std::byte* payload = nullptr;
  uint64_t size = 0;  // of the payload, padding included
  std::byte* header = nullptr;
};

// RingConsumer is the reading end. Thread-compatible: one thread at a time.
class RingConsumer {
 public:
  enum class Peek { kRecord, kEmpty, kCorrupt };

  RingConsumer() = default;
  RingConsumer(std::byte* memory, uint64_t capacity)
      : control_(reinterpret_cast<RingControl*>(memory)),
        data_(memory + sizeof(RingControl)),
        capacity_(capacity) {}

  // has_data is a cheap look without reading a record.
  bool has_data() const {
    return control_->tail.load(std::memory_order_seq_cst) != head_;  // partner: publish
  }

  // peek gives the next record without taking it. A tail or size that cannot be is kCorrupt,
  // after which the ring must be thrown away.
  Peek peek(Record& record) {
    for (;;) {
      if (head_ == tail_) {
        tail_ = control_->tail.load(std::memory_order_seq_cst);  // partner: publish
        if (head_ == tail_) return Peek::kEmpty;
        if (tail_ - head_ > capacity_) return Peek::kCorrupt;
      }
      const uint64_t at = head_ & (capacity_ - 1);
      RecordHeader header;
      std::memcpy(&header, data_ + at, sizeof(uint32_t) + sizeof(uint16_t));
      if (header.size < sizeof(RecordHeader) || header.size % 8 != 0 ||
          header.size > tail_ - head_ || header.size > capacity_ - at) {
        return Peek::kCorrupt;
      }
      if (header.type == kPad) {
        head_ += header.size;
        continue;
      }
      auto* start = data_ + at;
      auto& flags = reinterpret_cast<RecordHeader*>(start)->flags;
      record.type = header.type;
      record.flags = std::atomic_ref<uint16_t>(flags).load(std::memory_order_seq_cst);
      record.payload = start + sizeof(RecordHeader);
      record.size = header.size - sizeof(RecordHeader);
      record.header = start;
      size_ = header.size;
      return Peek::kRecord;
    }
  }

  // pop takes the record that peek gave. Its bytes stay valid until release_space.
  void pop() { head_ += size_; }

  // release_space gives all popped bytes back to the producer; true when it sleeps for space
  // and must be woken with wake_producer.
  bool release_space() {
    released_ = head_;
    control_->head.store(head_, std::memory_order_seq_cst);
    return control_->producer_waiting.load(std::memory_order_seq_cst) != 0;
  }

  uint64_t unreleased() const { return head_ - released_; }
  uint64_t capacity() const { return capacity_; }
  RingControl* control() const { return control_; }

 private:
  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  uint64_t capacity_ = 0;
  uint64_t head_ = 0;      // next byte to read
  uint64_t tail_ = 0;      // what was visible at the last look
  uint64_t released_ = 0;  // what the producer knows of head_
  uint64_t size_ = 0;      // of the record that peek gave
};

}  // namespace bolide::ipc

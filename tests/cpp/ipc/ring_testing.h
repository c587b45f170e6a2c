// ring_testing: a ring in private memory with both of its ends, for tests of the ipc layer. Not a
// test itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "ipc/ring.h"

namespace bolide::ipc::testing {

// Zeroed memory for a ring, exactly as large as it needs to be, so that a sanitizer sees every
// step beyond its end.
class RingMemory {
 public:
  explicit RingMemory(uint64_t capacity)
      : bytes_(static_cast<std::byte*>(
            ::operator new(sizeof(RingControl) + capacity, std::align_val_t{64}))) {
    std::memset(bytes_.get(), 0, sizeof(RingControl) + capacity);
    format_ring(bytes_.get(), capacity);
  }
  std::byte* get() const { return bytes_.get(); }
  RingControl* control() const { return reinterpret_cast<RingControl*>(bytes_.get()); }
  std::byte* data() const { return bytes_.get() + sizeof(RingControl); }

 private:
  struct Delete {
    void operator()(std::byte* bytes) const {
      ::operator delete(bytes, std::align_val_t{64});
    }
  };
  std::unique_ptr<std::byte, Delete> bytes_;
};

struct Ring {
  explicit Ring(uint64_t capacity)
      : memory(capacity), in(memory.get(), capacity), out(memory.get(), capacity) {}

  // push puts a record whose payload is filled with `fill`; false: there is no room.
  bool push(uint64_t payload, uint16_t type = 1, char fill = 'x') {
    std::byte* to = in.reserve(payload, type);
    if (to == nullptr) return false;
    std::memset(to, fill, payload);
    in.commit();
    return true;
  }

  // pop takes the next record and gives its space back; its type, or kPad when there is none.
  uint16_t pop() {
    Record record;
    if (out.peek(record) != RingConsumer::Peek::kRecord) return kPad;
    out.pop();
    out.release_space();
    return record.type;
  }

  // header is the record header at a position, as it lies in memory.
  RecordHeader header(uint64_t position) const {
    RecordHeader header;
    std::memcpy(&header, memory.data() + position % in.capacity(), sizeof header);
    return header;
  }
  void set_header(uint64_t position, RecordHeader header) {
    std::memcpy(memory.data() + position % in.capacity(), &header, sizeof header);
  }

  RingMemory memory;
  RingProducer in;
  RingConsumer out;
};

}  // namespace bolide::ipc::testing

// The consumer's end of a ring whose memory holds anything: what it gives lies in the ring, and it
// comes to an end. The input is the control words that a peer writes, then data bytes; what the
// records hold is read as each of the node's handlers reads it, part by part.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "fuzz/target.h"
#include "ipc/cursor.h"
#include "ipc/records.h"
#include "ipc/ring.h"

using namespace bolide::ipc;

namespace {

constexpr uint64_t kCapacity = 1024;

struct Words {
  uint64_t tail;
  uint64_t later_tail;  // what the peer sets it to after the first records
  uint32_t producer_waiting;
  uint32_t verdict;
};

void must(bool holds) {
  if (!holds) std::abort();
}

// read_parts takes what the bytes say is there; each part lies within them.
void read_parts(const std::byte* data, uint64_t size) {
  Reader in(data, size);
  const auto inside = [&](const void* part, uint64_t length) {
    const auto* at = static_cast<const std::byte*>(part);
    must(at == nullptr || (at >= data && at + length <= data + size));
    uint64_t sum = 0;
    for (uint64_t i = 0; at != nullptr && i < length; ++i) sum += static_cast<uint64_t>(at[i]);
    volatile uint64_t read = sum;
    static_cast<void>(read);
  };
  while (in.ok() && in.left() != 0) {
    const auto header = in.take<ValueHeader>();
    inside(in.ids(header.contained), uint64_t{header.contained} * 8);
    inside(in.bytes(header.size), header.size);
  }
}

fuzz::Bytes seed(std::initializer_list<uint64_t> payloads) {
  std::vector<std::byte> memory(sizeof(RingControl) + kCapacity);
  format_ring(memory.data(), kCapacity);
  RingProducer producer(memory.data(), kCapacity);
  for (uint64_t payload : payloads) {
    std::byte* to = producer.reserve(payload, 33);
    const ValueHeader header{7, payload - sizeof(ValueHeader) - 8, 1, ValueKind::kInline, 0, 0};
    std::memcpy(to, &header, sizeof header);
    producer.commit();
  }
  producer.publish();
  const uint64_t tail = producer.control()->tail;
  const Words words{tail, tail, 1, 0};
  fuzz::Bytes bytes(sizeof words + kCapacity);
  std::memcpy(bytes.data(), &words, sizeof words);
  std::memcpy(bytes.data() + sizeof words, memory.data() + sizeof(RingControl), kCapacity);
  return bytes;
}

}  // namespace

std::vector<fuzz::Bytes> fuzz::seeds() {
  return {seed({}), seed({40}), seed({40, 48, 56, 64}), seed({248, 248, 248, 40})};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  constexpr size_t kBytes = sizeof(RingControl) + kCapacity;
  const std::unique_ptr<std::byte, Free> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, kBytes)));
  std::memset(memory.get(), 0, kBytes);
  format_ring(memory.get(), kCapacity);
  Words words{};
  if (size != 0) std::memcpy(&words, data, std::min(size, sizeof words));
  if (size > sizeof words) {
    std::memcpy(memory.get() + sizeof(RingControl), data + sizeof words,
                std::min<size_t>(size - sizeof words, kCapacity));
  }
  auto* control = reinterpret_cast<RingControl*>(memory.get());
  control->tail = words.tail;
  control->producer_waiting = words.producer_waiting;
  control->verdict = words.verdict;

  RingConsumer consumer(memory.get(), kCapacity);
  const std::byte* first = memory.get() + sizeof(RingControl);
  uint64_t taken = 0;
  for (int turn = 0; turn < 2; ++turn) {
    for (;;) {
      Record record;
      const auto peek = consumer.peek(record);
      if (peek == RingConsumer::Peek::kCorrupt) return 0;
      if (peek == RingConsumer::Peek::kEmpty) break;
      must(record.payload >= first && record.payload + record.size <= first + kCapacity);
      must(record.header + sizeof(RecordHeader) == record.payload);
      read_parts(record.payload, record.size);
      consumer.pop();
      taken += record.size + sizeof(RecordHeader);
      must(taken <= kCapacity * (static_cast<uint64_t>(turn) + 1));
      if (record.flags % 2 != 0) must(consumer.release_space() == (words.producer_waiting != 0));
    }
    consumer.release_space();
    control->tail = words.later_tail;
  }
  return 0;
}

// What lies in shared memory: offsets and sizes that docs/shared_memory_layout.md and
// docs/protocol.md state. Both sides are the same program now; a change here is a new version.
#include <doctest/doctest.h>

#include "ipc/bell.h"
#include "ipc/link.h"
#include "ipc/records.h"

using namespace bolide;
using namespace bolide::ipc;

TEST_CASE("layout: the parts of a link follow each other without overlap, on cache lines") {
  CHECK(sizeof(LinkHeader) <= kLinkHeaderSize);
  CHECK(kTaskRingOffset == 4096);
  CHECK(kReplyRingOffset == 4096 + 320 + 128 * 1024);
  CHECK(kReplyRingOffset % 64 == 0);
  CHECK(kReplyRingOffset >= kTaskRingOffset + sizeof(RingControl) + kRingCapacity);
  CHECK(kLinkSize % 4096 == 0);
  CHECK(kLinkSize >= kReplyRingOffset + sizeof(RingControl) + kRingCapacity);
  CHECK(kLinkSize - kReplyRingOffset - sizeof(RingControl) - kRingCapacity < 4096);
  CHECK((kRingCapacity & (kRingCapacity - 1)) == 0);
}

TEST_CASE("layout: the words of each side of a ring lie on lines of their own") {
  CHECK(offsetof(RingControl, capacity) == 8);
  CHECK(offsetof(RingControl, tail) == 64);
  CHECK(offsetof(RingControl, data_signal) == 72);
  CHECK(offsetof(RingControl, producer_waiting) == 76);
  CHECK(offsetof(RingControl, verdict) == 80);
  CHECK(offsetof(RingControl, interrupt) == 88);
  CHECK(offsetof(RingControl, head) == 128);
  CHECK(offsetof(RingControl, space_signal) == 136);
  CHECK(offsetof(RingControl, claimed) == 192);
  CHECK(offsetof(RingControl, interrupt_seen) == 200);
  CHECK(offsetof(RingControl, consumer_waiting) == 256);
  CHECK(sizeof(RingControl) == 320);
  CHECK(offsetof(RecordHeader, type) == 4);
  CHECK(offsetof(RecordHeader, flags) == 6);
  CHECK(offsetof(BellPage, node_pid) == 8);
  CHECK(offsetof(BellPage, inquiry_fd) == 12);
  CHECK(offsetof(BellPage, word) == 64);
}

TEST_CASE("layout: the fixed part of every record is a multiple of 8 bytes") {
  CHECK(sizeof(TaskHeader) == 64);
  CHECK(sizeof(ValueHeader) == 24);
  CHECK(sizeof(ResultHeader) == 24);
  CHECK(sizeof(ObjectList) == 8);
  CHECK(sizeof(SequenceRecord) == 8);
  CHECK(sizeof(ChunkNotice) == 16);
  CHECK(sizeof(ChunkRequest) == 24);
  CHECK(sizeof(ChunkRefusal) == 16);
  CHECK(sizeof(BlockedRecord) == 8);
  CHECK(sizeof(HelloRecord) == 8);
  CHECK(sizeof(ClassHeader) == 40);
  CHECK(sizeof(ResourceEntry) == 16);
  CHECK(sizeof(CancelRecord) == 16);
  CHECK(sizeof(YieldRecord) == 16);
  CHECK(sizeof(CreditRecord) == 24);
  CHECK(sizeof(NextRecord) == 32);
  CHECK(sizeof(TraceRecord) == 32);
  CHECK(sizeof(DeviceList) == 8);
  CHECK(sizeof(DeviceShare) == 8);
  CHECK(sizeof(LogHeader) == 8);
  CHECK(sizeof(ActorExit) == 8);
  CHECK(sizeof(KillRecord) == 16);
  CHECK(sizeof(QueryRecord) == 16);
  CHECK(sizeof(JumboRecord) == 40);
  CHECK(sizeof(Location) == 24);
}

TEST_CASE("layout: no record type is taken for a pad") {
  CHECK(static_cast<uint16_t>(RecordType::kJumbo) != kPad);
  CHECK(static_cast<uint16_t>(RecordType::kTask) == 1);
  CHECK(static_cast<uint16_t>(RecordType::kHello) == 32);
}

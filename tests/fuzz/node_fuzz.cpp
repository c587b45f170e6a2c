// The node's handlers of records, with a worker that sends what the input says: whatever that is,
// the driver's tasks end, the node's tables are whole and later calls give their results.
#include <algorithm>
#include <array>
#include <cstring>

#include "fuzz/script.h"
#include "fuzz/stage.h"
#include "ipc/link.h"
#include "support/actor_value.h"

using namespace bolide;
using namespace bolide::ipc;
using fuzz::kDriver;
using fuzz::kHostile;
using fuzz::Kind;
using fuzz::Script;

namespace {

// Fewer returns than a record may ask for: each costs memory, and time.
constexpr uint32_t kMostReturns = 4096;

// send puts the records of the input behind what the worker's client has sent.
void send(std::byte* link, const std::vector<fuzz::ScriptedRecord>& records) {
  std::byte* ring = link + kReplyRingOffset;
  auto* control = reinterpret_cast<RingControl*>(ring);
  std::byte* data = ring + sizeof(RingControl);
  uint64_t tail = control->tail;
  for (const auto& record : records) {
    const uint64_t size = align8(sizeof(RecordHeader) + record.size);
    const uint64_t at = tail & (kRingCapacity - 1);
    if (size > kRingCapacity - at || tail + size - control->head > kRingCapacity) break;
    const RecordHeader header{static_cast<uint32_t>(size), record.type, 0};
    std::memcpy(data + at, &header, sizeof header);
    std::memset(data + at + sizeof header, 0, size - sizeof header);
    if (record.size != 0) std::memcpy(data + at + sizeof header, record.payload, record.size);
    if (record.type == static_cast<uint16_t>(RecordType::kSubmit) &&
        record.size >= sizeof(TaskHeader)) {
      auto* submitted = reinterpret_cast<TaskHeader*>(data + at + sizeof header);
      if (submitted->returns <= 1u << 24) submitted->returns %= kMostReturns;
    }
    tail += size;
  }
  control->tail = tail;
}

const uint64_t kSequence = fuzz::kWarmUps + 1;  // of the task that the worker does not answer

ValueHeader inline_value(uint64_t object, uint64_t size, uint32_t contained = 0,
                         uint8_t flags = 0) {
  return {object, size, contained, ValueKind::kInline, flags, 0};
}

TaskHeader task(uint64_t id, uint32_t flags = 0) {
  TaskHeader header{};
  header.task = id;
  header.function = kDriver + 1;
  header.sequence = kSequence;
  header.argument_bytes = 8;
  header.returns = 1;
  header.max_retries = 3;
  header.flags = flags;
  return header;
}

ResultHeader result(uint64_t sequence, uint32_t returns, uint32_t flags = 0) {
  return {sequence, 1000, returns, flags};
}

constexpr std::string_view kName("n\0k", 3);

using List = std::array<uint64_t, 2>;  // how many, and one id

}  // namespace

std::vector<fuzz::Bytes> fuzz::seeds() {
  const uint64_t fresh = kHostile + 100;
  const Location own{1, 0, 0, 20'000};
  std::vector<Bytes> seeds;
  for (const uint8_t scene : {uint8_t{0}, uint8_t{1}}) {
    const auto script = [&] { return Script(scene); };
    using enum RecordType;
    seeds.push_back(script()
                        .record(kResult, result(kSequence, 1), inline_value(0, 4), "done")
                        .record(kResult, result(kSequence + 1, 1), inline_value(0, 1, 1), "x",
                                kHostile + 1)
                        .record(kResult, result(kSequence + 2, 3), inline_value(0, 0),
                                inline_value(0, 1, 0, kError), "x",
                                ValueHeader{0, 64, 0, ValueKind::kStored, 0, 0},
                                Location{1, 0, 0, 64})
                        .record(kResult, result(kSequence + 3, 1, kRetryable)));
    seeds.push_back(script()
                        .record(kYield, YieldRecord{kSequence + 4, 0}, inline_value(0, 4), "item")
                        .record(kYield, YieldRecord{kSequence + 4, 1}, inline_value(0, 4), "item")
                        .record(kTrace, TraceRecord{kDriver + 20, 1, 2, 4}, "name")
                        .record(kResult, result(kSequence + 4, 1, kLeaving), inline_value(0, 0)));
    seeds.push_back(script()
                        .record(kSubmit, task(fresh), uint64_t{1})
                        .record(kGet, List{1, fresh})
                        .record(kWait, List{1, fresh})
                        .record(kBlocked, BlockedRecord{1, 1}, fresh)
                        .record(kUnblocked, BlockedRecord{0, 0})
                        .record(kCancel, CancelRecord{fresh, 0, 1})
                        .record(kRelease, List{1, fresh}));
    seeds.push_back(script()
                        .record(kSubmit, task(fresh, kStreaming), uint64_t{1})
                        .record(kNext, NextRecord{fresh + 1, fresh + 10, 0, 4, 0})
                        .record(kNext, NextRecord{fresh + 1, fresh + 14, 2, 1, 0})
                        .record(kRelease, List{1, fresh + 1}));
    seeds.push_back(script()
                        .record(kPut, inline_value(fresh, 5, 1), "value", kHostile + 1)
                        .record(kPut, inline_value(fresh + 1, 4, 0, kFunction), "code")
                        .record(kPut, ValueHeader{fresh + 2, 64, 0, ValueKind::kStored, 0, 0},
                                Location{1, 0, 64, 64})
                        .record(kAcquire, List{1, kDriver + 3})
                        .record(kRecalled, List{1, kHostile + 1})
                        .record(kRelease, List{1, kDriver + 3})
                        .record(kFreeSpan, own));
    seeds.push_back(script()
                        .record(kChunkWanted, ChunkRequest{1 << 20, 1 << 20, 0, 0})
                        .record(kChunkWanted, ChunkRequest{1 << 20, 30'000, 1, 0})
                        .record(kChunkReturned, ChunkNotice{0, 1, 0})
                        .record(kHandBack, SequenceRecord{kSequence + 4})
                        .record(kHandBack, SequenceRecord{kSequence + 3}));
    seeds.push_back(script()
                        .record(kDefineClass, ClassHeader{9, 0, 0, -1, 0, 1, kPooled},
                                ResourceEntry{10'000, 3, 0}, "CPU")
                        .record(kDefineClass, ClassHeader{10, 0, 0, -1, 0, 1, 1}, ResourceEntry{10'000, 3, 0},
                                "CPU", ResourceEntry{5'000, 3, 0}, "CPU")
                        .record(kDefineClass, ClassHeader{11, 5, 0, -1, 3, 1, kPooled}, "env",
                                ResourceEntry{10'000, 3, 0}, "CPU")
                        .record(kLog, LogHeader{1, 5}, "hello")
                        .record(kActorExit, ActorExit{ExitKind::kIntended, 4}, "ends")
                        .record(kKillActor, KillRecord{kDriver + 3, 0, 0}));
    const std::string spec = support::actor_value({1, -1, node::kInOrder, 1, 3, 1}, kName);
    TaskHeader creation = task(fresh + 1, kActorCreation);
    creation.function = fresh;
    creation.scheduling_class = 10;
    creation.returns = 0;
    TaskHeader call = task(fresh + 2, kActorCall);
    call.function = fresh;
    seeds.push_back(
        script()
            .record(kDefineClass, ClassHeader{10, 0, 0, -1, 0, 1, 1}, ResourceEntry{10'000, 3, 0}, "CPU",
                    ResourceEntry{10'000, 3, 0}, "CPU")
            .record(kPut, inline_value(fresh, spec.size(), 1, kActor), spec, kDriver + 1)
            .record(kSubmit, creation, uint64_t{1})
            .record(kSubmit, call, uint64_t{1})
            .record(kQuery, QueryRecord{fresh + 3, QueryKind::kFindActor, 3}, kName)
            .record(kQuery, QueryRecord{fresh + 4, QueryKind::kNamedActors, 1}, "n")
            .record(kQuery, QueryRecord{fresh + 5, QueryKind::kPendingCalls, 8}, fresh)
            .record(kQuery, QueryRecord{fresh + 6, QueryKind::kResources, 0})
            .record(kQuery, QueryRecord{fresh + 7, QueryKind::kAssigned, 0})
            .record(kKillActor, KillRecord{fresh, 1, 0}));
    // The input's own bytes lie in the worker's object, so a large record may be any part of it.
    seeds.push_back(script()
                        .record(kJumbo, JumboRecord{{1, 0, 0, 4096}, 64,
                                                    static_cast<uint16_t>(kPut), 0, 0})
                        .record(kPut, inline_value(fresh, 8), uint64_t{7}));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const auto records = fuzz::parse(data, size);
  fuzz::Stage stage(data[0] % 2 == 0 ? Kind::kPool : Kind::kActor,
                    [&](node::WorkerClient&, std::byte* link, std::byte* own_object) {
                      std::memcpy(own_object, data, std::min<size_t>(size, 20'000));
                      send(link, records);
                    });
  stage.play();
  return 0;
}

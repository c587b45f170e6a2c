// What a worker reads from its ring, and the descriptors beside it: a worker that the node sends
// anything goes on, or gives up with a sentence. It asks for values, waits for room and runs tasks
// meanwhile, so that answers have something to answer.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz/script.h"
#include "node/worker_client.h"
#include "node/worker_link.h"
#include "os/event.h"
#include "os/fd_passing.h"
#include "os/memory.h"
#include "simulated/machine.h"

using namespace bolide;
using namespace bolide::ipc;
using fuzz::Script;
using node::TaskView;
using node::WorkerClient;
using store::ObjectEntry;
using Next = WorkerClient::Next;

namespace {

constexpr uint64_t kDriver = uint64_t{1} << 40;
constexpr uint64_t kOwn = uint64_t{2} << 40;
constexpr uint64_t kChunkBytes = 64 * 1024;
constexpr auto kFirstSequence = uint64_t{1};

using List = std::array<uint64_t, 2>;  // how many, and one id

void read_all(const std::byte* data, uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t i = 0; data != nullptr && i < size; ++i) sum += static_cast<uint64_t>(data[i]);
  volatile uint64_t read = sum;
  static_cast<void>(read);
}

// read_value looks at a value where the table says that it lies.
void read_value(WorkerClient& worker, ObjectEntry* entry) {
  if (!entry->ready()) return;
  if (entry->holding == store::Holding::kStored) {
    const Location where = entry->where;
    read_all(worker.resolve(where), where.size);
  } else {
    const store::ValueBytes bytes = store::ObjectTable::inline_value(entry);
    read_all(bytes.data, bytes.size);
  }
}

// execute runs a task as the binding does, as far as the core is concerned.
void execute(WorkerClient& worker, const TaskView& task) {
  const TaskHeader header = task.header;
  read_all(task.arguments, header.argument_bytes);
  read_all(reinterpret_cast<const std::byte*>(task.name), header.name_bytes);
  read_all(task.values, task.value_bytes);
  uint64_t size = 0;
  read_all(worker.function_value(header.function, &size), 0);
  worker.task_taken();
  worker.begin_result(header.sequence, 1, 0);
  worker.add_inline("done", 4, {}, 0);
  worker.end_result(1000);
}

// honest is the worker's main thread.
void honest(WorkerClient::Descriptors descriptors) {
  auto attached = WorkerClient::attach(std::move(descriptors));
  if (!attached.is_ok()) return;
  auto worker = attached.take();
  ObjectEntry* foreign = worker->acquire(ObjectId{kDriver + 1});
  worker->ask(std::span(&foreign, 1), true);
  ObjectEntry* waited_for = worker->acquire(ObjectId{kDriver + 2});
  worker->ask(std::span(&waited_for, 1), false);
  auto slot = worker->reserve(10'000, false, now(), now() + 2 * kMillisecond);
  if (slot.is_ok()) {
    std::memset(slot->data, 1, 10'000);
    auto own = worker->put_stored(*slot, {}, 0, false);
    if (own.is_ok()) read_value(*worker, *own);
  }
  for (int turn = 0; turn < 40; ++turn) {
    TaskView task;
    bool waited = false;
    const Next next = worker->next_task(&task, now() + 100 * kMicrosecond, &waited);
    if (next == Next::kShutdown) break;
    if (next == Next::kTask) execute(*worker, task);
    read_value(*worker, foreign);
    read_value(*worker, waited_for);
    static_cast<void>(worker->devices());
    static_cast<void>(worker->forgotten());
    static_cast<void>(worker->credit(kFirstSequence));
  }
  worker->release(foreign);
  worker->release(waited_for);
}

// Hostile is the node's end.
class Hostile {
 public:
  explicit Hostile(simulator::Machine& machine) : machine_(machine) {
    LinkHeader header{};
    header.magic = kLinkMagic;
    header.version = kLinkVersion;
    header.worker = 1;
    header.client = 2;
    header.inline_limit = 8192;
    link_ = node::WorkerLink::make(header).take();
    bell_ = os::create_memfd("bell", sizeof(BellPage)).take();
    for (os::Event& event : events_) event = os::Event::create().take();
  }

  WorkerClient::Descriptors descriptors() {
    WorkerClient::Descriptors d;
    d.link = link_->memfd.dup().take();
    d.socket = std::move(link_->peer_socket);
    d.bell = bell_.dup().take();
    d.waiter_event = copy(events_[0]);
    d.supervisor_event = copy(events_[1]);
    d.attention_event = copy(events_[2]);
    d.owner = machine_.process().end_event.dup().take();
    return d;
  }

  void send(const std::vector<fuzz::ScriptedRecord>& records, bool slowly) {
    for (const auto& record : records) {
      if (record.size > link_->tasks.largest_record() - sizeof(RecordHeader)) continue;
      if (record.type == static_cast<uint16_t>(RecordType::kChunk)) send_chunk(record);
      link_->send(static_cast<RecordType>(record.type), record.size, [&](std::byte* to) {
        if (record.size != 0) std::memcpy(to, record.payload, record.size);
      });
      if (slowly) settle();
    }
    settle();
  }

  // settle lets the worker read, and reads what it says.
  void settle() {
    link_->flush();
    events_[2].ring();
    machine_.sleep(kMillisecond);
    Record record;
    while (link_->replies.peek(record) == RingConsumer::Peek::kRecord) {
      read_all(record.payload, record.size);
      link_->replies.pop();
    }
    link_->replies.release_space();
  }

 private:
  static os::Fd copy(const os::Event& event) {
    return os::Fd(::fcntl(event.fd(), F_DUPFD_CLOEXEC, 0));
  }

  // A chunk's descriptor comes before its record; sometimes it is smaller than the record says.
  void send_chunk(const fuzz::ScriptedRecord& record) {
    ChunkNotice notice{};
    std::memcpy(&notice, record.payload, std::min(record.size, sizeof notice));
    auto memfd = os::create_memfd("chunk", kChunkBytes);
    if (memfd.is_ok()) link_->send_descriptor(notice.chunk, *memfd);
  }

  simulator::Machine& machine_;
  std::unique_ptr<node::WorkerLink> link_;
  os::Fd bell_;
  os::Event events_[3];
};

simulator::MachineSettings settings() {
  simulator::MachineSettings settings;
  settings.switch_one_in = 8;
  return settings;
}

TaskHeader task(uint64_t sequence, uint32_t flags = 0) {
  TaskHeader header{};
  header.task = kDriver + 50 + sequence;
  header.function = kDriver + 9;
  header.sequence = sequence;
  header.argument_bytes = 8;
  header.name_bytes = 4;
  header.returns = 1;
  header.flags = flags;
  return header;
}

}  // namespace

std::vector<fuzz::Bytes> fuzz::seeds() {
  using enum RecordType;
  const auto value = [](uint64_t object, uint64_t size, uint8_t flags = 0) {
    return ValueHeader{object, size, 0, ValueKind::kInline, flags, 0};
  };
  const auto stored = [](uint64_t object, uint8_t flags = 0) {
    return ValueHeader{object, 64, 0, ValueKind::kStored, flags, 0};
  };
  const Location foreign{5, 0, 128, 64};
  std::vector<Bytes> seeds;
  for (const uint8_t slowly : {uint8_t{0}, uint8_t{1}}) {
    const auto script = [&] { return Script(slowly); };
    seeds.push_back(script()
                        .record(kValue, value(kDriver + 9, 4, kFunction), "code")
                        .record(kTask, task(1), uint64_t{1}, "name")
                        .record(kTask, task(2, kStreaming), uint64_t{1}, "name")
                        .record(kCredit, CreditRecord{2, 10, 0})
                        .record(kDevices, uint64_t{1}, DeviceShare{0, 10'000})
                        .record(kTask, task(3), uint64_t{1}, "name")
                        .record(kForget, List{1, kDriver + 9})
                        .record(kShutdown));
    seeds.push_back(script()
                        .record(kValue, value(kDriver + 1, 5), "value")
                        .record(kReady, List{1, kDriver + 2})
                        .record(kRecall, List{1, kDriver + 1}));
    seeds.push_back(script()
                        .record(kChunk, ChunkNotice{kChunkBytes, 5, 0})
                        .record(kValue, stored(kDriver + 1), foreign)
                        .record(kRecall, List{1, kDriver + 1})
                        .record(kChunkClosed, ChunkNotice{0, 5, 0}));
    seeds.push_back(script()
                        .record(kChunk, ChunkNotice{kChunkBytes, 6, 1})
                        .record(kFreeSpan, Location{6, 0, 0, 10'000})
                        .record(kChunkRetired, ChunkNotice{0, 6, 0}));
    seeds.push_back(script().record(kChunkRefused, ChunkRefusal{10'000, 4, 1}, "full"));
    seeds.push_back(script().record(kValue,
                                    ValueHeader{kDriver + 1, 64, 0, ValueKind::kElsewhere, 0, 0},
                                    uint64_t{4}, "gone"));
    seeds.push_back(script()
                        .record(kChunk, ChunkNotice{kChunkBytes, 5, 0})
                        .record(kJumbo, JumboRecord{{5, 0, 0, 4096}, 4096,
                                                    static_cast<uint16_t>(kTask), 0, 0})
                        .record(kJumbo, JumboRecord{{5, 0, 0, 4096}, 4096,
                                                    static_cast<uint16_t>(kValue), 0, 0}));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const auto records = fuzz::parse(data, size);
  simulator::Machine machine(settings(), 1);
  machine.may_give_up = true;  // that is what a worker does with what it does not understand
  try {
    machine.run([&] {
      Hostile node(machine);
      auto descriptors = std::make_shared<WorkerClient::Descriptors>(node.descriptors());
      simulator::Process& worker = machine.start_process(
          "worker", false, [descriptors] { honest(std::move(*descriptors)); });
      node.settle();
      node.send(records, data[0] % 2 != 0);
      machine.kill(worker, 9);
    });
  } catch (const simulator::Failure& failure) {
    std::fprintf(stderr, "%s\n%s", failure.text.c_str(), machine.describe().c_str());
    std::abort();
  }
  return 0;
}

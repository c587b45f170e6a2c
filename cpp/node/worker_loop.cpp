// worker_loop: a worker's stream of tasks and results, and what else arrives from the node.
#include <unistd.h>

#include <algorithm>

#include "node/worker_client.h"
#include "node/worker_push.h"
#include "os/futex.h"
#include "os/process.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

}  // namespace

// give_up ends a worker whose ring cannot be read any more; the node sees its death.
void WorkerClient::give_up(const char* why) {
  static_cast<void>(::write(STDERR_FILENO, why, std::strlen(why)));
  os::end_process(70);
}

// ---- reading

bool WorkerClient::looks_empty() const {
  return task_at_head_.load(std::memory_order_acquire) || !tasks_.has_data();  // partner: drain
}

bool WorkerClient::drain() {
  bool found = false;
  while (!task_at_head_.load(std::memory_order_relaxed)) {  // written under the lock
    ipc::Record record;
    const auto peek = tasks_.peek(record);
    if (peek == ipc::RingConsumer::Peek::kEmpty) break;
    if (peek == ipc::RingConsumer::Peek::kCorrupt) give_up("bolide: the worker's task ring is corrupt\n");
    found = true;
    if (!handle_record(record)) break;
  }
  if (!task_at_head_.load(std::memory_order_relaxed) && !holds_record_) release_space();
  return found;
}

// release_space gives room back in large steps, or all of it before this thread waits: the node
// looks at it rarely, and each store takes the line from the node's core.
void WorkerClient::release_space(bool all) {
  if (tasks_.unreleased() == 0) return;
  if (!all && tasks_.unreleased() < tasks_.capacity() / 8) return;
  // The node does not sleep for space; it looks when the bell rings.
  if (tasks_.release_space()) publish(Urgency::kWhenSleeping);
}

RecordType WorkerClient::unwrap(const ipc::Record& record, const std::byte** data,
                                uint64_t* size, Location* jumbo_at) {
  *data = record.payload;
  *size = record.size;
  auto type = static_cast<RecordType>(record.type);
  if (type != RecordType::kJumbo) return type;
  ipc::Reader in(record.payload, record.size);
  const auto jumbo = in.take<ipc::JumboRecord>();
  *data = views_.resolve(jumbo.where);
  if (!in.ok() || *data == nullptr || jumbo.size > jumbo.where.size) {
    give_up("bolide: a large record lies nowhere\n");
  }
  *size = jumbo.size;
  *jumbo_at = jumbo.where;
  return static_cast<RecordType>(jumbo.type);
}

bool WorkerClient::accepts(const ipc::TaskHeader& header) const {
  return task_waiter_ != nullptr && (!inline_only_ || (header.flags & ipc::kInline) != 0);
}

bool WorkerClient::handle_record(ipc::Record& record) {
  const std::byte* data;
  uint64_t size;
  Location jumbo_at{};
  const RecordType type = unwrap(record, &data, &size, &jumbo_at);
  if (type == RecordType::kTask) {
    ipc::Reader in(data, size);
    const auto header = in.take<ipc::TaskHeader>();
    if (accepts(header)) {
      task_at_head_.store(true, std::memory_order_release);  // partner: looks_empty
      task_waiter_->has_task = true;
      if (task_waiter_->sleeping) wake(*task_waiter_);
      return false;
    }
    if (is_actor_ || (header.flags & ipc::kActorCreation) != 0) {
      // It belongs to nobody else, and what lies behind it may be what a thread here waits for.
      stash_.emplace_back(data, data + size);
      if (loop_asleep_) loop_queue_->push(0);
      tasks_.pop();
      if (jumbo_at.size != 0) free_jumbo(jumbo_at);
      return true;
    }
    // The thread that could run it is busy or blocked.
    const bool mine = ipc::try_claim(tasks_.control(), record, header.sequence,
                                     ipc::Purpose::kHandBack);
    tasks_.pop();
    if (mine) {
      const ipc::SequenceRecord back{header.sequence};
      push(RecordType::kHandBack, sizeof back,
           [&](std::byte* to) { ipc::Writer(to).put(back); });
      publish(Urgency::kAlways);
    }
  } else {
    tasks_.pop();
    handle(type, data, size);
  }
  if (jumbo_at.size != 0) free_jumbo(jumbo_at);
  return true;
}

void WorkerClient::free_jumbo(const Location& where) {
  push(RecordType::kFreeSpan, sizeof where, [&](std::byte* to) { ipc::Writer(to).put(where); });
}

void WorkerClient::handle(RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kValue:
      on_value(in);
      break;
    case RecordType::kRecall:
      on_recall(in);
      break;
    case RecordType::kReady: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        ObjectEntry* entry = table_.find(ObjectId{ids[i]});
        if (entry == nullptr || entry->ready()) continue;
        entry->flags |= store::kKnownReady;
        if ((entry->flags & store::kAsked) == 0) value_ready(entry);
      }
      break;
    }
    case RecordType::kForget: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        functions_.erase(ids[i]);
        forgotten_.push_back(ids[i]);
      }
      if (idle_waiter_ != nullptr) notify(*idle_waiter_);  // what they captured must go now
      break;
    }
    case RecordType::kChunk:
      on_chunk(in);
      break;
    case RecordType::kChunkRefused: {
      const auto refusal = in.take<ipc::ChunkRefusal>();
      const std::byte* text = in.bytes(refusal.text_bytes);
      chunk_refused_ = Status(refusal.disk != 0 ? Code::kDiskFull : Code::kFull,
                              text == nullptr ? "the object store is full"
                                              : std::string(reinterpret_cast<const char*>(text),
                                                            refusal.text_bytes));
      refused_size_ = refusal.size;
      chunk_asked_ = false;
      for (Waiter* waiter : chunk_waiters_) notify(*waiter);
      break;
    }
    case RecordType::kChunkRetired:
      arena_.retire(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      return_chunks(arena_.take_ended());
      break;
    case RecordType::kChunkClosed:
      views_.drop(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      break;
    case RecordType::kFreeSpan:
      free_span(in.take<Location>());
      for (Waiter* waiter : chunk_waiters_) notify(*waiter);
      break;
    case RecordType::kCredit:
      on_credit(in);
      break;
    case RecordType::kDevices: {
      const auto list = in.take<ipc::DeviceList>();
      devices_.clear();
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        devices_.push_back(in.take<ipc::DeviceShare>());
      }
      new_devices_ = true;
      break;
    }
    case RecordType::kShutdown:
      shutdown_ = true;
      if (task_waiter_ != nullptr) notify(*task_waiter_);
      if (loop_asleep_) loop_queue_->push(0);
      break;
    default:
      give_up("bolide: a record of an unknown type\n");
  }
  if (!in.ok()) give_up("bolide: a record is too short\n");
}

void WorkerClient::on_value(ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const bool stored = header.kind == ipc::ValueKind::kStored;
  const Location where = stored ? in.take<Location>() : Location{};
  const bool failed = header.kind == ipc::ValueKind::kElsewhere;
  const uint64_t size = failed ? in.take<uint64_t>() : header.size;
  const std::byte* bytes = stored || size == 0 ? nullptr : in.bytes(size);
  if (!in.ok()) return;
  if ((header.flags & ipc::kFunction) != 0) {
    if (stored) bytes = header.size <= where.size ? views_.resolve(where) : nullptr;
    if (bytes == nullptr) give_up("bolide: an exported function lies nowhere\n");
    functions_[header.object].assign(bytes, bytes + header.size);
    return;
  }
  ObjectEntry* entry = table_.find(ObjectId{header.object});
  if (entry == nullptr) give_up("bolide: a value came without a question\n");
  if (failed) {
    if (!entry->ready()) set_away(entry, header.size);
    if (is_awaited(entry)) {
      unfetchable_[entry->id.value].assign(reinterpret_cast<const char*>(bytes), size);
    }
  } else if (!entry->ready() && stored) {
    table_.set_stored(entry, where, header.flags);
  } else if (!entry->ready()) {
    table_.set_inline(entry, bytes, size, header.flags);
  } else if (entry->presence.is_away() && stored) {
    arrive(entry, where);
  }
  value_ready(entry);
  if ((entry->flags & store::kAsked) == 0) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kAsked);
  if (--entry->refs == 0) give_up_reference(entry);
}

void WorkerClient::value_ready(ObjectEntry* entry) {
  if ((entry->flags & store::kWatched) == 0) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kWatched);
  if (auto node = watchers_.extract(entry->id.value)) {
    for (Waiter* waiter : node.mapped()) notify(*waiter);
  }
  if (queues_.empty()) return;
  if (auto node = queues_.extract(entry->id.value)) {
    for (const auto& [queue, token] : node.mapped()) queue->push(token);
    if (idle_waiter_ != nullptr) notify(*idle_waiter_);
  }
}

// ---- sleeping

void WorkerClient::before_sleep() { prepare_sleep(ipc::kOnSignal); }

void WorkerClient::prepare_sleep(ipc::Waiting how) {
  flush_releases();
  if (!task_at_head_.load(std::memory_order_relaxed) && !holds_record_) release_space(true);
  tasks_.control()->consumer_waiting.store(how, std::memory_order_seq_cst);  // partner: publish
  // The task at the head is another thread's to take; what lies behind it can be read afterwards.
  awaits_taker_ = task_at_head_.load(std::memory_order_relaxed);  // written under the lock
  signal_ = awaits_taker_ ? heads_taken_.load(std::memory_order_relaxed)  // likewise
                          : tasks_.control()->data_signal.load(std::memory_order_seq_cst);
  ring_for_unread();
}

// ring_for_unread: a thread of this process is about to sleep; the node must not leave unread what
// it has said.
void WorkerClient::ring_for_unread() {
  if (replies_.unpublished() || replies_.refresh_used() != 0) publish(Urgency::kWhenSleeping);
}

bool WorkerClient::sleep(Nanos until) {
  const Nanos left = until - now();
  if (left <= 0) return true;
  // Only this thread, which leads, writes awaits_taker_: so it may read it without the lock.
  const std::atomic<uint32_t>& word = awaits_taker_ ? heads_taken_ : tasks_.control()->data_signal;
  return os::futex_wait(&word, signal_, left) != os::Wake::kInterrupted;
}

void WorkerClient::after_sleep() {
  tasks_.control()->consumer_waiting.store(ipc::kNotWaiting, std::memory_order_seq_cst);
  awaits_taker_ = false;
}

// ---- tasks

WorkerClient::Next WorkerClient::next_task(TaskView* task, Nanos until, bool* waited) {
  MutexLock lock(mutex_);
  flush_releases();
  Waiter waiter;
  task_waiter_ = idle_waiter_ = &waiter;
  inline_only_ = false;
  Next next = Next::kNothing;
  bool rung = false;
  while ((next = take_next(waiter, task, !has_leader())) == Next::kNothing) {
    if (!forgotten_.empty()) break;
    if (!rung) {
      release_space(true);
      publish(Urgency::kWhenEmpty);
    }
    rung = *waited = true;
    waiter.ready = 0;
    if (until == 0) {
      if (!spin_turn(waiter, lock)) break;
    } else if (wait_turn(waiter, until, lock) == WaitResult::kTurnOver) {
      break;
    }
  }
  task_waiter_ = idle_waiter_ = nullptr;
  return next;
}

// take_next gives what is there, without waiting. The waiter is the task_waiter_.
WorkerClient::Next WorkerClient::take_next(Waiter& waiter, TaskView* task, bool reads_ring) {
  for (;;) {
    if (stopped_) return Next::kShutdown;
    if (!stash_.empty()) {
      take_stashed(task);
      return Next::kTask;
    }
    if (!waiter.has_task && reads_ring) drain();
    if (!waiter.has_task) return shutdown_ || closed_ ? Next::kShutdown : Next::kNothing;
    waiter.has_task = false;
    if (take_task(task)) return Next::kTask;
  }
}

WorkerClient::Next WorkerClient::inline_task(TaskView* task) {
  MutexLock lock(mutex_);
  return take_task(task) ? Next::kTask : Next::kNothing;
}

// take_task claims the record that drain() left at the head. False: the node has taken it back.
bool WorkerClient::take_task(TaskView* task) {
  ipc::Record record;
  BOLIDE_CHECK(tasks_.peek(record) == ipc::RingConsumer::Peek::kRecord, "a task record vanished");
  const std::byte* data;
  uint64_t size;
  Location jumbo_at{};
  unwrap(record, &data, &size, &jumbo_at);
  task->held = jumbo_at.size != 0 || size > sizeof task->header + TaskView::kShort;
  read_task(data, size, task);
  const bool mine =
      ipc::try_claim(tasks_.control(), record, task->header.sequence, ipc::Purpose::kRun);
  tasks_.pop();
  task_at_head_.store(false, std::memory_order_release);  // partner: looks_empty
  if (awaits_taker_) {
    heads_taken_.fetch_add(1, std::memory_order_release);  // partner: the kernel's look in sleep
    os::futex_wake(&heads_taken_, 1);
  }
  if (!mine) {
    if (jumbo_at.size != 0) free_jumbo(jumbo_at);
    return false;
  }
  begin_running(task);
  taken_jumbo_ = jumbo_at;
  holds_record_ = task->held;
  if (!task->held) release_space();
  return true;
}

void WorkerClient::begin_running(TaskView* task) {
  if (new_devices_) task->header.flags |= ipc::kNewDevices;
  new_devices_ = false;
  running_.push_back(task->header.sequence);
}

void WorkerClient::read_task(const std::byte* data, uint64_t size, TaskView* task) {
  ipc::Reader whole(data, size);
  task->header = whole.take<ipc::TaskHeader>();
  const ipc::TaskHeader& header = task->header;
  const uint64_t left = whole.left();
  const std::byte* body = whole.bytes(left);
  if (!task->held) body = static_cast<std::byte*>(std::memcpy(task->copy, body, left));
  ipc::Reader in(body, left);
  task->dependencies = in.ids(header.dependencies);
  task->contained = in.ids(header.contained);
  task->arguments = in.bytes(header.argument_bytes);
  task->name = reinterpret_cast<const char*>(in.bytes(header.name_bytes));
  task->value_bytes = in.left();
  task->values = in.bytes(in.left());
  if (!whole.ok() || !in.ok()) give_up("bolide: a task record is too short\n");
}

void WorkerClient::task_taken() {
  MutexLock lock(mutex_);
  holds_record_ = false;
  if (!unstashed_.empty()) unstashed_ = {};
  if (taken_jumbo_.size != 0) free_jumbo(taken_jumbo_);
  taken_jumbo_ = Location{};
  release_space();
}

std::vector<ipc::DeviceShare> WorkerClient::devices() {
  MutexLock lock(mutex_);
  return devices_;
}

const std::byte* WorkerClient::function_value(uint64_t function, uint64_t* size) {
  MutexLock lock(mutex_);
  auto it = functions_.find(function);
  if (it == functions_.end()) return nullptr;
  *size = it->second.size();
  return it->second.data();
}

std::vector<uint64_t> WorkerClient::forgotten() {
  MutexLock lock(mutex_);
  return std::exchange(forgotten_, {});
}

}  // namespace bolide::node

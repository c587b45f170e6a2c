// worker_loop: a worker's stream of tasks, and how it reads its ring and sleeps.
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

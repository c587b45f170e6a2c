// worker_event_loop: the worker of an async actor. Its main thread runs an event loop that sleeps in
// poll, on the descriptors of user code too, and takes calls and results between its turns.
//
// Other threads of the process may lead the pump meanwhile. Then they are woken by the node, and
// wake the loop through its queue if there is something for it.
#include "node/worker_client.h"
#include "os/fd_passing.h"

namespace bolide::node {

void WorkerClient::enter_loop(std::shared_ptr<CompletionQueue> queue) {
  MutexLock lock(mutex_);
  loop_queue_ = std::move(queue);
}

WorkerClient::Next WorkerClient::poll_task(TaskView* task, Spin spin) {
  MutexLock lock(mutex_);
  flush_releases();
  Waiter waiter;
  task_waiter_ = idle_waiter_ = &waiter;
  inline_only_ = false;
  Next next = Next::kNothing;
  // It reads the ring also where another thread leads: that one polls and sleeps without the lock.
  while ((next = take_next(waiter, task, true)) == Next::kNothing) {
    if (waiter.is_ready() || spin == Spin::kNo) break;
    release_space(true);
    publish(ipc::Urgency::kWhenEmpty);
    if (!spin_turn(waiter, lock, spin == Spin::kWhole)) break;
  }
  task_waiter_ = idle_waiter_ = nullptr;
  return next;
}

bool WorkerClient::loop_sleeps() {
  MutexLock lock(mutex_);
  if (!stash_.empty() || stopped_ || shutdown_ || closed_) return false;
  loop_asleep_ = true;
  if (has_leader()) {
    ring_for_unread();  // the leader may be asleep already
    return true;
  }
  prepare_sleep(ipc::kOnSocket);
  if (!tasks_.has_data()) return true;
  loop_asleep_ = false;
  after_sleep();
  return false;
}

void WorkerClient::loop_wakes() {
  MutexLock lock(mutex_);
  loop_asleep_ = false;
  if (!has_leader()) after_sleep();
}

// lead_ends: from now on nobody reads the ring but the loop.
void WorkerClient::lead_ends() {
  if (!loop_asleep_) return;
  tasks_.control()->consumer_waiting.store(ipc::kOnSocket, std::memory_order_seq_cst);
  if (tasks_.has_data()) loop_queue_->push(0);  // what came before that has woken nobody
}

void WorkerClient::read_wakes() {
  MutexLock lock(mutex_);
  for (;;) {
    uint32_t number = 0;
    std::vector<os::Fd> fds;
    auto got = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&number, 1)),
                                   fds, false);
    if (!got.is_ok() && got.status().code() == Code::kInterrupted) continue;
    if (!got.is_ok()) return;
    if (fds.size() == 1) received_.emplace_back(number, std::move(fds[0]));
  }
}

Status WorkerClient::watch(ObjectEntry* entry, std::shared_ptr<CompletionQueue> queue,
                           uint64_t token) {
  MutexLock lock(mutex_);
  if (loop_queue_ == nullptr) {
    return Status(Code::kInvalid, "a worker without an event loop has no thread that could watch");
  }
  if (entry->ready()) {
    queue->push(token);
    return Status();
  }
  entry->flags |= store::kWatched;
  queues_[entry->id.value].emplace_back(std::move(queue), token);
  return Status();
}

}  // namespace bolide::node

// worker_interrupts: how a worker learns that a task of its own is to be interrupted.
#include <algorithm>

#include "node/worker_client.h"

namespace bolide::node {

uint64_t WorkerClient::interrupt_word() {
  ipc::RingControl* control = tasks_.control();
  const uint64_t word = control->interrupt.load(std::memory_order_seq_cst);
  const uint64_t seen = control->interrupt_seen.load(std::memory_order_relaxed);  // own word
  return word == seen ? 0 : word;
}

void WorkerClient::interrupt_done(uint64_t sequence) {
  tasks_.control()->interrupt_seen.store(sequence, std::memory_order_seq_cst);
}

bool WorkerClient::runs(uint64_t sequence) {
  MutexLock lock(mutex_);
  return std::find(running_.begin(), running_.end(), sequence) != running_.end();
}

void WorkerClient::note_interrupt(uint64_t sequence) {
  MutexLock lock(mutex_);
  interrupted_.push_back(sequence);
  for (Waiter* waiter : credit_waiters_) notify(*waiter);  // a generator in a thread: it is to end
}

}  // namespace bolide::node

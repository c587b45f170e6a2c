#include "node/client.h"

namespace bolide::node {

Result<std::shared_ptr<CompletionQueue>> CompletionQueue::create() {
  auto event = os::Event::create();
  if (!event.is_ok()) return event.status().clone();
  auto queue = std::make_shared<CompletionQueue>();
  queue->event_ = event.take();
  return queue;
}

void CompletionQueue::push(uint64_t token) {
  MutexLock lock(mutex_);
  done_.push_back(token);
  if (done_.size() == 1 && event_.fd() >= 0) event_.ring();
}

void CompletionQueue::close() {
  MutexLock lock(mutex_);
  event_ = os::Event();
}

std::vector<uint64_t> CompletionQueue::take() {
  MutexLock lock(mutex_);
  if (event_.fd() >= 0) event_.clear();
  return std::exchange(done_, {});
}

}  // namespace bolide::node

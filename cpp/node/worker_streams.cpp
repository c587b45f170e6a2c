// worker_streams: a worker's part in streams: as the maker of one it sends items and waits for credit,
// as the consumer of one it asks for items ahead.
#include <algorithm>

#include "node/worker_client.h"
#include "node/worker_push.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

constexpr uint32_t kItemsAskedAtMost = 256;  // each request may wake two processes

}  // namespace

// ---- making

ipc::CreditRecord WorkerClient::credit(uint64_t sequence) {
  MutexLock lock(mutex_);
  // Records of tasks that were taken back before they began have left theirs behind.
  std::erase_if(credits_, [&](const auto& item) {
    return item.first < sequence &&
           std::find(running_.begin(), running_.end(), item.first) == running_.end();
  });
  return credits_[sequence];
}

WaitResult WorkerClient::await_credit(uint64_t sequence, uint64_t index, Nanos until,
                                      WaitMode& mode) {
  MutexLock lock(mutex_);
  if (!has_leader()) drain();
  if (index < credits_[sequence].upto) return WaitResult::kReady;
  Waiter waiter;
  credit_waiters_.push_back(&waiter);
  WaitResult result = lend_cpu(waiter, {}, until, mode, lock);
  if (result == WaitResult::kTurnOver) result = wait_turn(waiter, until, lock);
  std::erase(credit_waiters_, &waiter);
  return result == WaitResult::kReady && index >= credits_[sequence].upto ? WaitResult::kTurnOver
                                                                           : result;
}

void WorkerClient::watch_credit(uint64_t sequence, uint64_t index,
                                std::shared_ptr<CompletionQueue> queue, uint64_t token) {
  MutexLock lock(mutex_);
  if (index < credits_[sequence].upto) {
    queue->push(token);
  } else {
    credit_watches_.push_back({sequence, index, std::move(queue), token});
  }
}

void WorkerClient::on_credit(ipc::Reader& in) {
  const auto credit = in.take<ipc::CreditRecord>();
  credits_[credit.sequence] = credit;
  for (Waiter* waiter : credit_waiters_) notify(*waiter);
  if (!credit_watches_.empty()) end_credit_watches(credit.sequence, credit.upto);
}

void WorkerClient::end_credit_watches(uint64_t sequence, uint64_t upto) {
  std::erase_if(credit_watches_, [&](const CreditWatch& watch) {
    if (watch.sequence != sequence || watch.index >= upto) return false;
    watch.queue->push(watch.token);
    if (idle_waiter_ != nullptr) notify(*idle_waiter_);  // the loop spins, and has to look
    return true;
  });
}

void WorkerClient::begin_yield(uint64_t sequence, uint64_t index) {
  result_.resize(sizeof(ipc::YieldRecord));
  const ipc::YieldRecord header{sequence, index};
  std::memcpy(result_.data(), &header, sizeof header);
}

void WorkerClient::end_yield() {
  MutexLock lock(mutex_);
  push_sized(RecordType::kYield, result_.size(), lock,
             [&](std::byte* to) { std::memcpy(to, result_.data(), result_.size()); });
  flush_releases();
  publish(Urgency::kAlways);
  if (result_.capacity() > (1 << 20)) result_ = {};
  // Spans that were given back come through the ring, and nobody else reads it meanwhile.
  if (tasks_.has_data() && !has_leader()) drain();
}

// ---- consuming

void WorkerClient::open_stream(ObjectId handle, uint32_t limit) {
  ObjectEntry* entry = table_.add(handle);
  entry->refs = 1;
  table_.set_inline(entry, nullptr, 0, ipc::kStream);
  const uint32_t half = limit == 0 ? kItemsAskedAtMost : limit / 2;
  streams_[handle.value].most = std::clamp<uint32_t>(half, 1, kItemsAskedAtMost);
}

ObjectEntry* WorkerClient::stream_next(ObjectEntry* handle, uint64_t taken) {
  MutexLock lock(mutex_);
  flush_releases();
  Ahead& ahead = streams_[handle->id.value];
  if (ahead.items.size() <= ahead.most / 2) ask_items(handle, taken);
  ObjectEntry* item = ahead.items.front();
  ahead.items.pop_front();
  return item;
}

// ask_items asks for more and more at a time while the consumer takes them, but for so few that a
// limit of the stream is kept: what was asked for does not count as taken.
void WorkerClient::ask_items(ObjectEntry* handle, uint64_t taken) {
  Ahead& ahead = streams_[handle->id.value];
  const uint32_t count = ahead.batch;
  ahead.batch = std::min(2 * ahead.batch, ahead.most);
  const ObjectId first = next_ids(count);
  for (uint32_t i = 0; i < count; ++i) {
    ObjectEntry* item = table_.add(return_of(first, i));
    item->refs = 2;  // one until the answer is read
    item->flags |= store::kAsked;
    ahead.items.push_back(item);
  }
  const ipc::NextRecord next{handle->id.value, first.value, taken, count, 0};
  push(RecordType::kNext, sizeof next, [&](std::byte* to) { ipc::Writer(to).put(next); });
  publish(Urgency::kAlways);
}

}  // namespace bolide::node

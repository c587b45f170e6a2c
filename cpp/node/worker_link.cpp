#include "node/worker_link.h"

#include "os/fd_passing.h"
#include "os/futex.h"

namespace bolide::node {

Result<std::unique_ptr<WorkerLink>> WorkerLink::make(const ipc::LinkHeader& header) {
  auto link = std::make_unique<WorkerLink>();
  auto memfd = os::create_memfd("link", ipc::kLinkSize);
  if (!memfd.is_ok()) return memfd.status().clone();
  auto mapping = os::Mapping::map(*memfd, ipc::kLinkSize, os::Access::kReadWrite);
  if (!mapping.is_ok()) return mapping.status().clone();
  auto sockets = os::socket_pair();
  if (!sockets.is_ok()) return sockets.status().clone();
  std::byte* base = mapping->data();
  std::memcpy(base, &header, sizeof header);
  ipc::format_ring(base + ipc::kTaskRingOffset, ipc::kRingCapacity);
  ipc::format_ring(base + ipc::kReplyRingOffset, ipc::kRingCapacity);
  link->tasks = ipc::RingProducer(base + ipc::kTaskRingOffset, ipc::kRingCapacity);
  link->replies = ipc::RingConsumer(base + ipc::kReplyRingOffset, ipc::kRingCapacity);
  link->client = ClientId{header.client};
  link->worker.id = WorkerId{header.worker};
  link->worker.owner = link.get();
  link->memory_ = mapping.take();
  link->memfd = memfd.take();
  link->socket = std::move(sockets->first);
  link->peer_socket = std::move(sockets->second);
  return link;
}

void WorkerLink::send_ids(ipc::RecordType type, std::span<const uint64_t> ids) {
  constexpr size_t kMost = 1024;  // well within one record
  for (size_t at = 0; at < ids.size(); at += kMost) {
    const auto part = ids.subspan(at, std::min(kMost, ids.size() - at));
    send(type, sizeof(ipc::ObjectList) + part.size_bytes(), [&](std::byte* to) {
      ipc::Writer out(to);
      out.put(ipc::ObjectList{part.size()});
      out.bytes(part.data(), part.size_bytes());
    });
  }
}

void WorkerLink::want_space(bool wanted) {
  // The worker rings the bell when it gives space back while this is set.
  tasks.control()->producer_waiting.store(wanted ? 1 : 0, std::memory_order_seq_cst);
}

void WorkerLink::send_descriptor(uint32_t chunk, const os::Fd& fd) {
  if (send_waiting_descriptors()) {
    const int raw = fd.get();
    const Status sent = os::send_message(socket.get(), std::as_bytes(std::span(&chunk, 1)),
                                         std::span(&raw, 1));
    if (sent.is_ok() || sent.code() == Code::kClosed) return;
  }
  if (auto copy = fd.dup(); copy.is_ok()) descriptors_.emplace_back(chunk, copy.take());
}

bool WorkerLink::send_waiting_descriptors() {
  while (!descriptors_.empty()) {
    const auto& [chunk, fd] = descriptors_.front();
    const int raw = fd.get();
    const Status sent = os::send_message(socket.get(), std::as_bytes(std::span(&chunk, 1)),
                                         std::span(&raw, 1));
    if (!sent.is_ok() && sent.code() != Code::kClosed) return false;
    descriptors_.pop_front();
  }
  return true;
}

void WorkerLink::flush() {
  send_waiting_descriptors();
  while (!overflow_.empty()) {
    Waiting& first = overflow_.front();
    std::byte* to = tasks.reserve(first.bytes.size(), first.type);
    if (to == nullptr) break;
    std::memcpy(to, first.bytes.data(), first.bytes.size());
    const uint64_t position = tasks.commit();
    if (first.sequence != 0) find_outstanding(first.sequence)->position = position;
    overflow_.pop_front();
    if (overflow_.empty()) want_space(false);
  }
  if (!tasks.unpublished()) return;
  if (!tasks.publish()) return;
  ipc::RingControl* control = tasks.control();
  // It may have changed since publish() looked, but then the worker has looked at the ring again.
  if (control->consumer_waiting.load(std::memory_order_relaxed) == ipc::kOnSocket) {
    const uint32_t wake = ipc::kWakeMessage;
    // If the socket is full, there is something in it to be woken by.
    static_cast<void>(os::send_message(socket.get(), std::as_bytes(std::span(&wake, 1)), {}));
    return;
  }
  // The node is the only writer of data_signal.
  control->data_signal.store(control->data_signal.load(std::memory_order_relaxed) + 1,
                             std::memory_order_seq_cst);
  os::futex_wake(&control->data_signal, 1);
}

WorkerLink::Outstanding* WorkerLink::find_outstanding(uint64_t sequence) {
  if (outstanding.empty()) return nullptr;
  if (outstanding.front().sequence == sequence) return &outstanding.front();
  // Results come in order, but for inlined tasks, which are the newest.
  for (size_t i = outstanding.size(); i-- > 1;) {
    if (outstanding[i].sequence == sequence) return &outstanding[i];
  }
  return nullptr;
}

void WorkerLink::remove_outstanding(Outstanding* entry) {
  if (entry == &outstanding.front()) {
    outstanding.pop_front();
    return;
  }
  for (auto it = outstanding.begin(); it != outstanding.end(); ++it) {
    if (&*it == entry) {
      outstanding.erase(it);
      return;
    }
  }
}

WorkerLink::Outstanding* WorkerLink::find_task(const Task* task) {
  for (Outstanding& entry : outstanding) {
    if (entry.task == task) return &entry;
  }
  return nullptr;
}

// drop_waiting takes the task records whose sequence is `wanted` out of the overflow.
template <class Wanted>
void WorkerLink::drop_waiting(Wanted wanted, std::vector<Location>* unsent_spans) {
  std::deque<Waiting> kept;
  for (Waiting& waiting : overflow_) {
    if (waiting.sequence == 0 || !wanted(waiting.sequence)) {
      kept.push_back(std::move(waiting));
    } else if (waiting.type == static_cast<uint16_t>(ipc::RecordType::kJumbo)) {
      ipc::JumboRecord jumbo;
      std::memcpy(&jumbo, waiting.bytes.data(), sizeof jumbo);
      unsent_spans->push_back(jumbo.where);
      std::erase_if(jumbo_spans, [&](const Location& span) {
        return span.chunk == jumbo.where.chunk && span.offset == jumbo.where.offset;
      });
    }
  }
  overflow_ = std::move(kept);
  if (overflow_.empty()) want_space(false);
}

std::vector<Task*> WorkerLink::take_back(std::vector<Location>* unsent_spans) {
  std::vector<ipc::Candidate> candidates;
  size_t sent = 0;
  for (const Outstanding& entry : outstanding) {
    if (entry.position == kNotSent) break;
    candidates.push_back({entry.sequence, entry.position});
    ++sent;
  }
  size_t taken = candidates.empty() ? 0 : ipc::take_back(tasks, candidates);
  // Task records that were not even sent are ours anyway.
  const size_t unsent = outstanding.size() - sent;
  if (unsent != 0) drop_waiting([](uint64_t) { return true; }, unsent_spans);
  taken += unsent;
  std::vector<Task*> tasks_back;
  const size_t first = outstanding.size() - taken;
  for (size_t i = first; i < outstanding.size(); ++i) tasks_back.push_back(outstanding[i].task);
  outstanding.erase(outstanding.begin() + static_cast<std::ptrdiff_t>(first), outstanding.end());
  return tasks_back;
}

bool WorkerLink::take_back_one(const Task* task, std::vector<Location>* unsent_spans) {
  Outstanding* entry = find_task(task);
  if (entry == nullptr) return false;
  if (entry->position == kNotSent) {
    const uint64_t sequence = entry->sequence;
    drop_waiting([&](uint64_t waiting) { return waiting == sequence; }, unsent_spans);
  } else {
    // The worker of an actor puts calls aside without a claim, so the ring does not tell whose it is.
    if (task->calls != nullptr) return false;
    const ipc::Candidate candidate{entry->sequence, entry->position};
    if (ipc::take_back(tasks, std::span(&candidate, 1)) == 0) return false;
  }
  remove_outstanding(entry);
  return true;
}

bool WorkerLink::step_interrupts() {
  ipc::RingControl* control = tasks.control();
  while (!interrupts.empty()) {
    const uint64_t sequence = interrupts.front();
    const bool sent =
        control->interrupt.load(std::memory_order_relaxed) == sequence;  // own word
    const bool seen = sent && control->interrupt_seen.load(std::memory_order_seq_cst) == sequence;
    if (!seen && find_outstanding(sequence) != nullptr) {
      if (!sent) control->interrupt.store(sequence, std::memory_order_seq_cst);
      return true;
    }
    interrupts.pop_front();
  }
  return false;
}

bool WorkerLink::started(const Outstanding& entry) const {
  if (entry.position == kNotSent) return false;
  const uint64_t word = tasks.control()->claimed.load(std::memory_order_seq_cst);
  const uint64_t claimed = word >> 1;
  const bool handing_back = (word & 1) != 0;
  return entry.sequence < claimed || (entry.sequence == claimed && !handing_back);
}

}  // namespace bolide::node

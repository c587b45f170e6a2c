// sim_worker: when it can do something, speaking and sleeping.
#include "simulator/sim_worker.h"

#include <algorithm>

namespace simulator {

using ipc::RecordType;
using ipc::Urgency;

SimWorker::SimWorker(WorkerHost& host, WorkerLink& link, const ipc::BellPage* bell, uint64_t seed)
    : host_(host),
      random_(seed),
      id_(link.worker.id.value),
      client_(link.client.value),
      socket_(std::move(link.peer_socket)),
      tasks_(reinterpret_cast<std::byte*>(link.tasks.control()), ipc::kRingCapacity),
      replies_(reinterpret_cast<std::byte*>(link.replies.control()), ipc::kRingCapacity),
      bell_(bell) {
  std::vector<std::byte> hello(sizeof(ipc::HelloRecord));
  push(RecordType::kHello, std::move(hello), Urgency::kWhenSleeping);
}

// ---- when

bool SimWorker::asleep_for_good() const {
  return tasks_.control()->data_signal.load() == signal_;
}

Nanos SimWorker::wakes() {
  if (gone_) return INT64_MAX;
  const Nanos now = host_.now();
  if (no_space_) return replies_.control()->space_signal.load() != space_signal_ ? now : INT64_MAX;
  if (claim_.has_value() || !outbox_.empty() || speaking_ != Speaking::kNothing) return now;
  if (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.busy_until > now) return frame.busy_until;
    if (!frame.waiting.has_value() || wait_is_over(frame)) return now;
    if (nap_ != Nap::kAsleep || !asleep_for_good()) return now;
    const Waiting& waiting = *frame.waiting;
    const Nanos lend = waiting.object != 0 && !waiting.declared ? waiting.lend_at : INT64_MAX;
    return std::min({waiting.until, lend, sleep_until_});
  }
  if (nap_ != Nap::kAsleep || !asleep_for_good()) return now;
  return sleep_until_;
}

void SimWorker::step() {
  if (nap_ == Nap::kAsleep) {
    tasks_.control()->consumer_waiting.store(0);
    nap_ = Nap::kAwake;
  }
  if (claim_.has_value()) {
    end_claim();
  } else if (!outbox_.empty() || speaking_ != Speaking::kNothing) {
    speak();
  } else if (frames_.empty()) {
    if (read_one()) return;
    if (shutdown_) {
      host_.trace("worker %u: leaves", id_);
      gone_ = true;
      return;
    }
    if (!rung_) publish(Urgency::kWhenEmpty);
    rung_ = true;
    nap();
  } else {
    Frame& frame = frames_.back();
    if (frame.waiting.has_value() && !wait_is_over(frame)) {
      wait_step(frame);
    } else {
      run(frame);
    }
  }
}

void SimWorker::kill() {
  gone_ = true;
  // What was claimed to be run counts, unless its result can be seen or the node took it back.
  for (const Frame& frame : frames_) host_.oracle().died(frame.task);
  for (const Outgoing& record : outbox_) {
    if (record.result_of != 0) host_.oracle().died(record.result_of);
  }
  for (uint64_t task : committed_) host_.oracle().died(task);
  if (claim_.has_value() && claim_->purpose == ipc::Purpose::kRun) {
    auto& flags = reinterpret_cast<ipc::RecordHeader*>(claim_->record.header)->flags;
    if ((flags & ipc::kRevoked) == 0) host_.oracle().died(claim_->header.task);
  }
}

// ---- speaking

void SimWorker::push(RecordType type, std::vector<std::byte> bytes, std::optional<Urgency> publish,
                     uint64_t result_of) {
  outbox_.push_back({type, std::move(bytes), publish, result_of});
}

bool SimWorker::push_sized(RecordType type, const std::vector<std::byte>& bytes,
                           std::optional<Urgency> publish, uint64_t result_of) {
  if (bytes.size() <= replies_.largest_record()) {
    push(type, bytes, publish, result_of);
    return true;
  }
  const auto slot = slot_for(&frames_.back(), bytes.size(), true);
  if (!slot.has_value()) return false;
  std::memcpy(slot->data, bytes.data(), bytes.size());
  const ipc::JumboRecord jumbo{slot->where, bytes.size(), static_cast<uint16_t>(type), 0, 0};
  std::vector<std::byte> record(sizeof jumbo);
  std::memcpy(record.data(), &jumbo, sizeof jumbo);
  push(RecordType::kJumbo, std::move(record), publish, result_of);
  return true;
}

// speak does one step of telling the node the first record of the outbox.
void SimWorker::speak() {
  if (speaking_ == Speaking::kCommitted) {
    const auto moment = outbox_.front().publish;
    outbox_.pop_front();
    speaking_ = Speaking::kNothing;
    if (moment.has_value()) publish(*moment);
    return;
  }
  Outgoing& record = outbox_.front();
  if (speaking_ == Speaking::kReserved) {
    replies_.commit();
    if (record.result_of != 0) committed_.push_back(std::exchange(record.result_of, 0));
    speaking_ = Speaking::kCommitted;
    return;
  }
  ipc::RingControl* control = replies_.control();
  no_space_ = false;
  std::byte* to = replies_.reserve(record.bytes.size(), static_cast<uint16_t>(record.type));
  if (to == nullptr) {
    space_signal_ = control->space_signal.load();
    control->producer_waiting.store(1);
    to = replies_.reserve(record.bytes.size(), static_cast<uint16_t>(record.type));
    if (to == nullptr) {
      publish(Urgency::kWhenSleeping);
      no_space_ = true;
      return;
    }
  }
  control->producer_waiting.store(0);
  if (!record.bytes.empty()) std::memcpy(to, record.bytes.data(), record.bytes.size());
  speaking_ = Speaking::kReserved;
}

void SimWorker::publish(Urgency moment) {
  if (replies_.unpublished()) {
    replies_.publish();
    for (uint64_t task : committed_) host_.oracle().visible(task);
    committed_.clear();
  }
  const auto answer = bell_.ask(moment);
  if (answer.ring) host_.ring(answer.bell);
}

// ---- sleeping

// nap goes one step further towards sleep; the ring was empty.
void SimWorker::nap() {
  if (nap_ == Nap::kAnnounced) {
    nap_ = Nap::kAsleep;
    return;
  }
  flush_releases();
  const Nanos now = host_.now();
  for (ChunkId chunk : arena_.trim(now)) {
    views_.drop(chunk);
    const ipc::ChunkNotice notice{0, chunk.value, 0};
    std::vector<std::byte> record(sizeof notice);
    std::memcpy(record.data(), &notice, sizeof notice);
    push(RecordType::kChunkReturned, std::move(record));
  }
  if (!outbox_.empty()) return;  // first say that
  sleep_until_ = arena_.next_trim(now).value_or(INT64_MAX);
  tasks_.control()->consumer_waiting.store(1);
  signal_ = tasks_.control()->data_signal.load();
  if (replies_.unpublished() || replies_.refresh_used() != 0) publish(Urgency::kWhenSleeping);
  nap_ = Nap::kAnnounced;
}

std::string SimWorker::describe() const {
  std::string text = "worker " + std::to_string(id_) + (gone_ ? " gone" : "") +
                     (nap_ == Nap::kAsleep ? " asleep" : "") + (no_space_ ? " without space" : "") +
                     ", " + std::to_string(outbox_.size()) + " records to send";
  char piece[96];
  for (const Frame& frame : frames_) {
    std::snprintf(piece, sizeof piece, ", task %lx op %zu/%zu%s", frame.task, frame.op,
                  frame.program.ops.size(), frame.returning ? " returning" : "");
    text += piece;
    if (frame.waiting.has_value()) {
      std::snprintf(piece, sizeof piece, " waits for %lx%s", frame.waiting->object,
                    frame.waiting->declared ? " (declared)" : "");
      text += piece;
    }
  }
  return text;
}

}  // namespace simulator

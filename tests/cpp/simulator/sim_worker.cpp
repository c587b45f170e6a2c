// sim_worker: speaking, reading and sleeping.
#include "simulator/sim_worker.h"

#include <algorithm>

#include "os/fd_passing.h"

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

// ---- reading

bool SimWorker::accepts(const ipc::TaskHeader& header) const {
  if (frames_.empty()) return true;
  const auto& waiting = frames_.back().waiting;
  return waiting.has_value() && waiting->can_inline && waiting->declared &&
         (header.flags & ipc::kInline) != 0;
}

// read_one takes the next record, if there is one.
bool SimWorker::read_one() {
  ipc::Record record;
  const auto peek = tasks_.peek(record);
  if (peek == ipc::RingConsumer::Peek::kCorrupt) fail("the ring of worker %u is corrupt", id_);
  if (peek == ipc::RingConsumer::Peek::kEmpty) {
    release_space();
    return false;
  }
  const std::byte* data = record.payload;
  uint64_t size = record.size;
  auto type = static_cast<RecordType>(record.type);
  Location jumbo_at{};
  if (type == RecordType::kJumbo) {
    ipc::Reader in(data, size);
    const auto jumbo = in.take<ipc::JumboRecord>();
    data = views_.resolve(jumbo.where);
    if (!in.ok() || data == nullptr) fail("a large record for worker %u lies nowhere", id_);
    size = jumbo.size;
    jumbo_at = jumbo.where;
    type = static_cast<RecordType>(jumbo.type);
  }
  if (nap_ == Nap::kAnnounced) {
    tasks_.control()->consumer_waiting.store(0);
    nap_ = Nap::kAwake;
  }
  if (type == RecordType::kTask) {
    ipc::Reader in(data, size);
    begin_claim(record, in.take<ipc::TaskHeader>(), jumbo_at);
    return true;
  }
  tasks_.pop();
  handle(type, data, size);
  if (jumbo_at.size != 0) free_jumbo(jumbo_at);
  release_space();
  return true;
}

// begin_claim is the first half of try_claim: what the node does now comes between the two.
void SimWorker::begin_claim(const ipc::Record& record, const ipc::TaskHeader& header,
                            Location jumbo) {
  const ipc::Purpose purpose = accepts(header) ? ipc::Purpose::kRun : ipc::Purpose::kHandBack;
  tasks_.control()->claimed.store(header.sequence << 1 | static_cast<uint64_t>(purpose));
  claim_ = Claim{record, header, purpose, !frames_.empty(), jumbo};
}

void SimWorker::end_claim() {
  const Claim claim = *claim_;
  claim_.reset();
  const bool mine = ipc::try_claim(tasks_.control(), claim.record, claim.header.sequence,
                                   claim.purpose);
  if (mine && claim.purpose == ipc::Purpose::kRun) {
    take_task(claim);
    tasks_.pop();
    rung_ = false;
  } else {
    tasks_.pop();
    if (mine) {
      std::vector<std::byte> back(sizeof claim.header.sequence);
      std::memcpy(back.data(), &claim.header.sequence, back.size());
      push(RecordType::kHandBack, std::move(back), Urgency::kAlways);
      host_.trace("worker %u: hands back task %lx", id_, claim.header.task);
    } else {
      host_.trace("worker %u: task %lx was taken back", id_, claim.header.task);
    }
  }
  if (claim.jumbo.size != 0) free_jumbo(claim.jumbo);
  release_space();
}

void SimWorker::free_jumbo(const Location& where) {
  std::vector<std::byte> record(sizeof where);
  std::memcpy(record.data(), &where, sizeof where);
  push(RecordType::kFreeSpan, std::move(record));
}

void SimWorker::handle(RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kValue:
      on_value(in);
      break;
    case RecordType::kReady: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; i < list.count; ++i) {
        const auto found = table_.find(ids[i]);
        if (found != table_.end()) found->second.known_ready = true;
      }
      break;
    }
    case RecordType::kForget: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; i < list.count; ++i) functions_.erase(ids[i]);
      break;
    }
    case RecordType::kChunk:
      on_chunk(in);
      break;
    case RecordType::kChunkRefused:
      chunk_asked_ = false;
      chunk_refused_ = true;
      break;
    case RecordType::kChunkClosed:
      views_.drop(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      break;
    case RecordType::kFreeSpan:
      if (!arena_.free(in.take<Location>())) fail("worker %u was given back a strange span", id_);
      break;
    case RecordType::kShutdown:
      shutdown_ = true;
      break;
    default:
      fail("worker %u got a record of type %u", id_, static_cast<unsigned>(type));
  }
  if (!in.ok()) fail("a record for worker %u is too short", id_);
}

void SimWorker::on_value(ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const bool stored = header.kind == ipc::ValueKind::kStored;
  const Location where = stored ? in.take<Location>() : Location{};
  const std::byte* bytes = stored || header.size == 0 ? nullptr : in.bytes(header.size);
  if ((header.flags & ipc::kFunction) != 0) {
    if (!functions_.insert(header.object).second) fail("worker %u got a function twice", id_);
    return;
  }
  const auto found = table_.find(header.object);
  if (found == table_.end() || found->second.ready) return;  // dropped meanwhile
  Local& local = found->second;
  local.ready = true;
  local.flags = header.flags;
  if (stored) {
    local.where = where;
  } else {
    local.bytes.assign(bytes, bytes + header.size);
  }
}

void SimWorker::on_chunk(ipc::Reader& in) {
  const auto notice = in.take<ipc::ChunkNotice>();
  uint32_t chunk = 0;
  std::vector<os::Fd> fds;
  auto got = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&chunk, 1)), fds,
                                 false);
  if (!got.is_ok() || fds.size() != 1 || chunk != notice.chunk) {
    fail("worker %u did not get the descriptor of chunk %u", id_, notice.chunk);
  }
  if (notice.writable != 0) {
    if (!arena_.add_chunk(ChunkId{chunk}, fds[0], notice.size).is_ok()) fail("a chunk cannot be mapped");
    chunk_asked_ = false;
    chunk_refused_ = false;
  }
  if (!views_.add(ChunkId{chunk}, fds[0], notice.size).is_ok()) fail("a chunk cannot be viewed");
}

void SimWorker::release_space() {
  if (tasks_.unreleased() == 0) return;
  if (tasks_.has_data() && tasks_.unreleased() < tasks_.capacity() / 8) return;
  if (tasks_.release_space()) publish(Urgency::kWhenSleeping);
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

// sim_worker_waits: a task's references, how it begins, and how it waits for values and for room
// in the store, as worker_client.cpp.
#include <algorithm>

#include "simulator/sim_worker.h"
#include "simulator/wire.h"

namespace simulator {

using ipc::RecordType;
using ipc::Urgency;

namespace {

constexpr Nanos kAskAgain = 20 * kMillisecond;
constexpr int kRefusalsAtMost = 3;

}  // namespace

// ---- references

uint64_t SimWorker::next_ids(uint32_t count) {
  const ObjectId id = make_object_id(ClientId{client_}, next_counter_);
  next_counter_ += count;
  return id.value;
}

void SimWorker::acquire(uint64_t object) {
  Local& local = table_[object];
  if (local.refs++ > 0) return;
  flush_releases();
  push_with_ids(RecordType::kAcquire, ipc::ObjectList{1}, std::span(&object, 1));
}

void SimWorker::flush_releases(std::optional<Urgency> publish) {
  std::vector<uint64_t> gone;
  for (uint64_t object : std::exchange(released_, {})) {
    const auto found = table_.find(object);
    if (found == table_.end() || found->second.refs == 0) fail("the simulator lost a reference");
    if (--found->second.refs > 0) continue;
    gone.push_back(object);
    table_.erase(found);
  }
  if (!gone.empty()) {
    push_with_ids(RecordType::kRelease, ipc::ObjectList{gone.size()}, gone, publish);
  }
}

std::vector<uint64_t> SimWorker::pick(const Frame& frame,
                                      const std::vector<uint32_t>& slots) const {
  std::vector<uint64_t> ids;
  for (uint32_t slot : slots) ids.push_back(frame.slots[slot]);
  return ids;
}

Oracle::Read SimWorker::read_local(uint64_t object) {
  const Local& local = table_[object];
  const std::byte* bytes = local.where.has_value() ? views_.resolve(*local.where)
                                                   : local.bytes.data();
  const uint64_t size = local.where.has_value() ? local.where->size : local.bytes.size();
  return host_.oracle().value(object, bytes, size, local.flags);
}

// ---- beginning

void SimWorker::take_task(const Claim& claim) {
  const bool large = claim.jumbo.size != 0;
  const std::byte* data = large ? views_.resolve(claim.jumbo) : claim.record.payload;
  ipc::Reader in(data, large ? claim.jumbo.size : claim.record.size);
  Frame frame;
  const auto header = in.take<ipc::TaskHeader>();
  const uint64_t* dependencies = in.ids(header.dependencies);
  const uint64_t* contained = in.ids(header.contained);
  const std::byte* arguments = in.bytes(header.argument_bytes);
  in.bytes(header.name_bytes);
  if (!in.ok() || header.argument_bytes < sizeof(Arguments)) fail("a task record is too short");
  host_.oracle().begun(header.task, header.attempt);
  host_.trace("worker %u: runs task %lx attempt %u%s", id_, header.task, header.attempt,
              claim.top ? " on top" : "");
  if (!functions_.contains(header.function)) fail("worker %u lacks the function", id_);
  Arguments given;
  std::memcpy(&given, arguments, sizeof given);
  frame.task = header.task;
  frame.sequence = header.sequence;
  frame.function = header.function;
  frame.inlined = claim.top;
  frame.spec = {given.seed,       given.depth, given.returns, header.dependencies,
                header.contained, header.scheduling_class};
  frame.program = make_program(frame.spec, host_.load());
  frame.digest = first_digest(frame.spec);
  frame.slots.assign(contained, contained + header.contained);
  frame.began = host_.now();
  for (uint32_t i = 0; i < header.dependencies; ++i) {
    const auto value = in.take<ipc::ValueHeader>();
    if (value.object != dependencies[i]) fail("a task got the value of another object");
    const bool stored = value.kind == ipc::ValueKind::kStored;
    const Location where = stored ? in.take<Location>() : Location{};
    const std::byte* bytes = stored ? views_.resolve(where) : in.bytes(value.size);
    if (!in.ok()) fail("a task record is too short");
    auto read = host_.oracle().value(value.object, bytes, value.size, value.flags);
    if (read.error) fail("a task was sent the error of a dependency");
    frame.dependencies.push_back({read.digest, std::move(read.ids)});
  }
  // All references are taken while the arguments are decoded.
  for (uint64_t object : frame.slots) acquire(object);
  for (const Dependency& each : frame.dependencies) {
    for (uint64_t object : each.inner) acquire(object);
  }
  frames_.push_back(std::move(frame));
}

// ---- waiting

bool SimWorker::wait_is_over(const Frame& frame) {
  const Waiting& waiting = *frame.waiting;
  if (host_.now() >= waiting.until) return true;
  if (waiting.object == 0) return !chunk_asked_ && !chunk_refused_;
  const Local& local = table_[waiting.object];
  return local.ready || (!waiting.value && local.known_ready);
}

void SimWorker::wait_step(Frame& frame) {
  Waiting& waiting = *frame.waiting;
  if (read_one()) return;
  if (waiting.object != 0 && !waiting.declared && host_.now() >= waiting.lend_at) {
    if (nap_ == Nap::kAnnounced) tasks_.control()->consumer_waiting.store(0);
    nap_ = Nap::kAwake;
    waiting.declared = true;
    push_with_ids(RecordType::kBlocked, ipc::BlockedRecord{waiting.can_inline ? 1u : 0u, 1},
                  std::span(&waiting.object, 1), Urgency::kAlways);
    return;
  }
  if (waiting.object == 0 && chunk_refused_ && waiting.until == INT64_MAX) {
    waiting.until = host_.now() + kAskAgain;
  }
  nap();
}

void SimWorker::end_wait(Frame& frame) {
  if (nap_ == Nap::kAnnounced) tasks_.control()->consumer_waiting.store(0);
  nap_ = Nap::kAwake;
  if (frame.waiting->declared) {
    push_with_ids(RecordType::kUnblocked, ipc::BlockedRecord{0, 0}, {}, Urgency::kWhenSleeping);
  }
  frame.waiting.reset();
}

std::optional<Oracle::Read> SimWorker::got(Frame& frame, uint64_t object) {
  Local& local = table_[object];
  if (local.ready) {
    if (frame.waiting.has_value()) end_wait(frame);
    return read_local(object);
  }
  flush_releases();
  if (!local.asked) {
    local.asked = true;
    push_with_ids(RecordType::kGet, ipc::ObjectList{1}, std::span(&object, 1), Urgency::kAlways);
  }
  frame.waiting = Waiting{object, true, true, false, host_.now() + kTryBeforeLending, INT64_MAX};
  return std::nullopt;
}

bool SimWorker::get_inner(Frame& frame, std::span<const uint64_t> ids) {
  if (ids.empty()) return true;
  const auto read = got(frame, ids[0]);
  if (!read.has_value()) return false;
  if (read->error) {
    pass_error(frame, ids[0]);
  } else {
    frame.digest = mix(frame.digest, read->digest);
  }
  return true;
}

// pass_error lets the task end with the error that it found, as one that raises it would.
void SimWorker::pass_error(Frame& frame, uint64_t object) {
  const Local& local = table_[object];
  const std::byte* bytes = local.where.has_value() ? views_.resolve(*local.where)
                                                   : local.bytes.data();
  const uint64_t size = local.where.has_value() ? local.where->size : local.bytes.size();
  frame.error.assign(bytes, bytes + size);
}

// slot_for finds room in the store; nothing: it is waited for (then `frame` waits), or it was
// refused often enough (then it does not).
std::optional<store::Slot> SimWorker::slot_for(Frame* frame, uint64_t size, bool control) {
  if (frame->waiting.has_value()) end_wait(*frame);
  if (const auto slot = arena_.allocate(size)) {
    refusals_ = 0;
    return slot;
  }
  flush_releases();
  if (chunk_refused_ && ++refusals_ > kRefusalsAtMost && !control) {
    refusals_ = 0;
    return std::nullopt;
  }
  if (!chunk_asked_) {
    chunk_asked_ = true;
    chunk_refused_ = false;
    const ipc::ChunkRequest request{arena_.chunk_size_for(size), size, control ? 1u : 0u, 0};
    push_with_ids(RecordType::kChunkWanted, request, {}, Urgency::kAlways);
  }
  frame->waiting = Waiting{};
  return std::nullopt;
}

}  // namespace simulator

// sim_worker_program: what a task does in its worker. Each call of run() does one part of an
// operation; what has to wait is tried again after the wait.
#include <algorithm>

#include "simulator/sim_worker.h"

namespace simulator {

using ipc::RecordType;
using ipc::Urgency;

namespace {

constexpr uint64_t kInlineLimit = 8192;
constexpr Nanos kTryBeforeLending = 20'000;
constexpr Nanos kAskAgain = 20 * kMillisecond;
constexpr int kRefusalsAtMost = 3;

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const size_t at = to.size();
  to.resize(at + ipc::align8(sizeof value));
  std::memcpy(to.data() + at, &value, sizeof value);
}
void append_ids(std::vector<std::byte>& to, std::span<const uint64_t> ids) {
  const size_t at = to.size();
  to.resize(at + ids.size_bytes());
  if (!ids.empty()) std::memcpy(to.data() + at, ids.data(), ids.size_bytes());
}
// append_value adds a value as in kPut and kResult: in the store if there is a slot, else inline.
void append_value(std::vector<std::byte>& to, uint64_t object, uint64_t digest, uint64_t size,
                  std::span<const uint64_t> ids, const std::optional<store::Slot>& slot) {
  ipc::ValueHeader header{};
  header.object = object;
  header.contained = static_cast<uint32_t>(ids.size());
  if (slot.has_value()) {
    write_value(slot->data, slot->where.size, digest, ids);
    header.size = slot->where.size;
    header.kind = ipc::ValueKind::kStored;
    append(to, header);
    append(to, slot->where);
  } else {
    header.size = size;
    append(to, header);
    const size_t at = to.size();
    to.resize(at + ipc::align8(size));
    write_value(to.data() + at, size, digest, ids);
  }
  append_ids(to, ids);
}

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

template <class Fixed>
void SimWorker::push_with_ids(RecordType type, const Fixed& fixed, std::span<const uint64_t> ids,
                              std::optional<Urgency> publish) {
  std::vector<std::byte> record;
  append(record, fixed);
  append_ids(record, ids);
  push(type, std::move(record), publish);
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

// ---- running

void SimWorker::run(Frame& frame) {
  if (frame.dependency < frame.dependencies.size()) {
    const Dependency& each = frame.dependencies[frame.dependency];
    if (!frame.op_half) {
      frame.digest = mix(frame.digest, each.digest);
      frame.op_half = true;
    }
    if (frame.program.unpack[frame.dependency] && frame.error.empty() &&
        !get_inner(frame, each.inner)) {
      return;
    }
    frame.op_half = false;
    for (uint64_t object : each.inner) release(object);
    ++frame.dependency;
    return;
  }
  if (frame.op < frame.program.ops.size() && frame.error.empty()) {
    run_op(frame, frame.program.ops[frame.op]);
    return;
  }
  run_return(frame);
}

void SimWorker::run_op(Frame& frame, const Op& op) {
  switch (op.kind) {
    case Op::Kind::kCompute:
      frame.busy_until = host_.now() + op.duration;
      break;
    case Op::Kind::kSubmit:
      run_submit(frame, op);
      return;
    case Op::Kind::kPut:
      run_put(frame, op);
      return;
    case Op::Kind::kGet: {
      const uint64_t object = frame.slots[op.slot];
      if (frame.inner == 0) {
        const auto read = got(frame, object);
        if (!read.has_value()) return;
        if (read->error) {
          pass_error(frame, object);
          return;
        }
        frame.digest = mix(frame.digest, read->digest);
        if (op.unpack && !read->ids.empty()) {
          frame.inner = read->ids[0];
          acquire(frame.inner);  // while the container is held
          return;
        }
      } else {
        if (!get_inner(frame, std::span(&frame.inner, 1))) return;
        release(std::exchange(frame.inner, 0));
      }
      break;
    }
    case Op::Kind::kWait: {
      const uint64_t object = frame.slots[op.slot];
      Local& local = table_[object];
      if (!frame.op_half && !local.ready && !local.known_ready) {
        frame.op_half = true;
        flush_releases();
        if (!std::exchange(local.asked_ready, true)) {
          push_with_ids(RecordType::kWait, ipc::ObjectList{1}, std::span(&object, 1),
                        Urgency::kAlways);
        }
        const Nanos now = host_.now();
        frame.waiting = Waiting{object, false, false, false, now + kTryBeforeLending,
                                now + op.duration};
        return;
      }
      if (frame.waiting.has_value()) end_wait(frame);
      frame.op_half = false;
      break;
    }
    case Op::Kind::kDrop:
      release(std::exchange(frame.slots[op.slot], 0));
      break;
    case Op::Kind::kKeep:
      kept_.push_back(std::exchange(frame.slots[op.slot], 0));
      break;
    case Op::Kind::kForget:
      if (!kept_.empty()) {
        std::swap(kept_[random_.below(kept_.size())], kept_.back());
        release(kept_.back());
        kept_.pop_back();
      }
      break;
  }
  ++frame.op;
}

void SimWorker::run_submit(Frame& frame, const Op& op) {
  const auto dependencies = pick(frame, op.dependencies);
  const auto contained = pick(frame, op.contained);
  flush_releases();
  const uint64_t id = make_object_id(ClientId{client_}, next_counter_).value;
  ipc::TaskHeader header{};
  header.task = id;
  header.function = frame.function;
  header.scheduling_class = op.task.cls;
  header.dependencies = op.task.dependencies;
  header.contained = op.task.contained;
  header.argument_bytes = static_cast<uint32_t>(op.size);
  header.returns = op.task.returns;
  header.max_retries = op.max_retries;
  std::vector<std::byte> record;
  append(record, header);
  append_ids(record, dependencies);
  append_ids(record, contained);
  const size_t at = record.size();
  record.resize(at + ipc::align8(op.size));
  const Arguments given{op.task.seed, op.task.depth, op.task.returns};
  std::memcpy(record.data() + at, &given, sizeof given);
  if (!push_sized(RecordType::kSubmit, record, Urgency::kAlways)) return;
  next_ids(std::max<uint32_t>(1, op.task.returns));
  host_.oracle().submitted(id, op.task, op.max_retries, dependencies, contained);
  for (uint32_t i = 0; i < op.task.returns; ++i) {
    table_[id + i].refs = 1;
    frame.slots.push_back(id + i);
  }
  ++frame.op;
}

void SimWorker::run_put(Frame& frame, const Op& op) {
  const auto ids = pick(frame, op.contained);
  std::optional<store::Slot> slot;
  uint64_t size = op.size;
  if (size > kInlineLimit) {
    slot = slot_for(&frame, size, false);
    if (!slot.has_value()) {
      if (frame.waiting.has_value()) return;
      size = value_size(ids.size());  // as one who goes on after ObjectStoreFullError
    }
  }
  const auto known = host_.oracle().known(ids);
  const uint64_t digest = put_digest(frame.spec.seed, frame.op, known);
  flush_releases();
  const uint64_t id = next_ids(1);
  host_.oracle().put(id, std::make_shared<Value>(Value{digest, known}));
  std::vector<std::byte> record;
  append_value(record, id, digest, size, ids, slot);
  push(RecordType::kPut, record, Urgency::kAlways);
  Local& local = table_[id];
  local.refs = 1;
  local.ready = true;
  if (slot.has_value()) {
    local.where = slot->where;
  } else {
    local.bytes.resize(size);
    write_value(local.bytes.data(), size, digest, ids);
  }
  frame.slots.push_back(id);
  ++frame.op;
}

void SimWorker::run_return(Frame& frame) {
  if (!frame.returning) {
    frame.returning = true;
    for (; frame.dependency < frame.dependencies.size(); ++frame.dependency) {
      for (uint64_t object : frame.dependencies[frame.dependency].inner) release(object);
    }
    if (frame.inner != 0) release(std::exchange(frame.inner, 0));
    if (frame.error.empty()) {
      for (const Return& value : frame.program.returns) {
        for (uint64_t object : pick(frame, value.contained)) {
          ++table_[object].refs;
          frame.held_by_result.push_back(object);
        }
      }
    }
    for (uint64_t object : frame.slots) {
      if (object != 0) release(object);
    }
    append(frame.result, ipc::ResultHeader{frame.sequence, 0, frame.spec.returns, 0});
  }
  while (frame.returned < frame.spec.returns) {
    if (!frame.error.empty()) {
      ipc::ValueHeader header{};
      header.size = frame.error.size();
      header.flags = ipc::kError;
      append(frame.result, header);
      const size_t at = frame.result.size();
      frame.result.resize(at + ipc::align8(frame.error.size()));
      std::memcpy(frame.result.data() + at, frame.error.data(), frame.error.size());
    } else {
      const Return& value = frame.program.returns[frame.returned];
      const auto ids = pick(frame, value.contained);
      std::optional<store::Slot> slot;
      uint64_t size = value.size;
      if (size > kInlineLimit && !random_.one_in(4)) {  // else in the record, however large
        slot = slot_for(&frame, size, false);
        if (!slot.has_value()) {
          if (frame.waiting.has_value()) return;
          size = value_size(ids.size());
        }
      }
      const uint64_t digest =
          return_digest(frame.digest, frame.returned, host_.oracle().known(ids));
      append_value(frame.result, 0, digest, size, ids, slot);
    }
    ++frame.returned;
  }
  auto* header = reinterpret_cast<ipc::ResultHeader*>(frame.result.data());
  header->duration = static_cast<uint64_t>(host_.now() - frame.began);
  const size_t before = outbox_.size();
  if (!push_sized(RecordType::kResult, frame.result, std::nullopt, frame.task)) return;
  for (uint64_t object : frame.held_by_result) release(object);
  flush_releases();
  outbox_.back().publish = Urgency::kAlways;
  BOLIDE_CHECK(outbox_.size() > before, "a result was pushed");
  host_.trace("worker %u: ends task %lx%s", id_, frame.task, frame.error.empty() ? "" : " (error)");
  frames_.pop_back();
}

}  // namespace simulator

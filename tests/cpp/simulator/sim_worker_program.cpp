// sim_worker_program: what a task does in its worker. Each call of run() does one part of an
// operation; what has to wait is tried again after the wait.
#include <algorithm>

#include "simulator/sim_worker.h"
#include "simulator/wire.h"

namespace simulator {

using ipc::RecordType;
using ipc::Urgency;

namespace {

constexpr uint64_t kInlineLimit = 8192;

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

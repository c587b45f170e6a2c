// worker_program: what a task does, operation by operation, and its result.
#include "simulator/worker.h"

namespace simulator {

using namespace bolide;
using node::WaitMode;
using node::WaitResult;

namespace {
}  // namespace

std::vector<uint64_t> SimWorker::ids(const Frame& frame, const std::vector<uint32_t>& slots) const {
  std::vector<uint64_t> out;
  for (uint32_t slot : slots) out.push_back(frame.slots[slot]->id.value);
  return out;
}

std::optional<store::Slot> SimWorker::reserve(uint64_t size) {
  for (const Nanos since = now();;) {
    auto slot = client_->reserve(size, false, since, now() + 50 * kMillisecond);
    if (slot.is_ok()) return *slot;
    if (slot.status().code() == Code::kFull) return std::nullopt;
    if (slot.status().code() != Code::kTimeout) {
      fail("no room: %s", slot.status().message().c_str());
    }
  }
}

void SimWorker::run(Frame& frame) {
  frame.digest = first_digest(frame.spec);
  for (size_t i = 0; i < frame.dependencies.size(); ++i) {
    const Oracle::Read& value = frame.dependencies[i];
    frame.digest = mix(frame.digest, value.digest);
    if (frame.program.unpack[i] && frame.error.empty()) get_inner(frame, value);
    for (uint64_t id : value.ids) client_->release(client_->find(ObjectId{id}));
  }
  for (size_t i = 0; i < frame.program.ops.size() && frame.error.empty(); ++i) {
    run_op(frame, i);
    look_for_interrupt(frame);
  }
  for (const auto& [thread, entry] : frame.asides) {
    machine_.join(*thread);
    client_->release(entry);
  }
  for (ObjectEntry* owner : frame.owners) client_->release(owner);
}

void SimWorker::run_op(Frame& frame, size_t i) {
  const Op& op = frame.program.ops[i];
  switch (op.kind) {
    case Op::Kind::kBurst: {
      const std::vector<std::byte> bytes(7'000);
      for (int n = 0; n < 25; ++n) {
        client_->release(client_->put_inline(bytes.data(), bytes.size(), {}, 0).take());
      }
      break;
    }
    case Op::Kind::kCompute:
      machine_.sleep(op.duration);
      break;
    case Op::Kind::kSubmit:
      submit(frame, op);
      break;
    case Op::Kind::kPut:
      put(frame, i);
      break;
    case Op::Kind::kGet: {
      Oracle::Read value;
      if (!get(frame, frame.slots[op.slot], &value)) break;
      frame.digest = mix(frame.digest, value.digest);
      if (op.unpack) get_inner(frame, value);
      break;
    }
    case Op::Kind::kWait: {
      ObjectEntry* entry = frame.slots[op.slot];
      client_->ask(std::span(&entry, 1), false);
      wait(frame, entry, now() + op.duration, false);
      break;
    }
    case Op::Kind::kAside:
      aside(frame, frame.slots[op.slot], op.duration);
      break;
    case Op::Kind::kCancel:
      context_.oracle.cancelling(frame.slots[op.slot]->id.value, op.recursive);
      client_->cancel(frame.slots[op.slot], op.force, op.recursive);
      break;
    case Op::Kind::kDrop:
      client_->release(std::exchange(frame.slots[op.slot], nullptr));
      break;
    case Op::Kind::kKeep:
      kept_.push_back(std::exchange(frame.slots[op.slot], nullptr));
      break;
    case Op::Kind::kForget:
      if (!kept_.empty()) {
        client_->release(kept_.back());
        kept_.pop_back();
      }
      break;
  }
}

void SimWorker::submit(Frame& frame, const Op& op) {
  const Call call{op.task,
                  frame.header.function,
                  ids(frame, op.dependencies),
                  ids(frame, op.contained),
                  op.size,
                  op.max_retries,
                  op.raises};
  const Status status = simulator::submit(context_, *client_, call, &frame.slots);
  if (!status.is_ok()) fail("a submit failed: %s", status.message().c_str());
}

void SimWorker::put(Frame& frame, size_t i) {
  const Op& op = frame.program.ops[i];
  const auto contained = ids(frame, op.contained);
  const auto known = context_.oracle.known(contained);
  const uint64_t digest = put_digest(frame.spec.seed, i, known);
  const auto slot = op.size > client_->inline_limit() ? reserve(op.size) : std::nullopt;
  ObjectEntry* entry = nullptr;
  if (slot.has_value()) {
    write_value(slot->data, op.size, digest, contained);
    entry = client_->put_stored(*slot, contained, 0, false).take();
  } else {  // small, or as one who goes on after ObjectStoreFullError
    std::vector<std::byte> bytes(std::min(op.size, client_->inline_limit()));
    write_value(bytes.data(), bytes.size(), digest, contained);
    entry = client_->put_inline(bytes.data(), bytes.size(), contained, 0).take();
  }
  context_.oracle.put(entry->id.value, std::make_shared<Value>(Value{digest, known}));
  frame.slots.push_back(entry);
}

// aside: another thread of the user's waits for a value while the task goes on.
void SimWorker::aside(Frame& frame, ObjectEntry* entry, Nanos timeout) {
  client_->add_reference(entry);
  const Thread& thread = machine_.start_thread(
      machine_.process(), "aside of " + std::to_string(id_), [this, entry, timeout] {
        const Nanos deadline = now() + timeout;
        client_->ask(std::span(&entry, 1), true);
        WaitMode mode;
        if (client_->wait(std::span(&entry, 1), 1, deadline, mode) == WaitResult::kReady) {
          read_value(context_, *client_, entry);
        }
      });
  frame.asides.emplace_back(&thread, entry);
}

void SimWorker::push_failure(Frame& frame, Nanos began) {
  for (ObjectEntry* entry : frame.slots) {
    if (entry != nullptr) client_->release(entry);
  }
  running_.back().fails = true;
  context_.oracle.failed(running_.back().key);
  const Nanos duration = now() - began;
  client_->begin_result(frame.header.sequence, 0, ipc::kRetryable);
  client_->end_result(duration);
  running_.pop_back();
}

// finish makes the values first, then pushes the result, then gives up what they hold.
void SimWorker::finish(Frame& frame, Nanos began) {
  if (frame.raises && frame.error.empty()) {
    push_failure(frame, began);
    return;
  }
  struct Made {
    std::optional<store::Slot> slot;
    std::vector<std::byte> bytes;
    std::vector<uint64_t> contained;
  };
  std::vector<Made> values;
  std::vector<ObjectEntry*> held;
  for (uint32_t i = 0; i < frame.spec.returns && frame.error.empty(); ++i) {
    const Return& value = frame.program.returns[i];
    Made made;
    made.contained = ids(frame, value.contained);
    for (uint32_t slot : value.contained) {
      client_->add_reference(frame.slots[slot]);
      held.push_back(frame.slots[slot]);
    }
    const uint64_t digest = return_digest(frame.digest, i, context_.oracle.known(made.contained));
    // Some large ones travel in the record, as errors with a long text do.
    const bool large = value.size > client_->inline_limit();
    if (large && !machine_.random().one_in(4)) made.slot = reserve(value.size);
    if (made.slot.has_value()) {
      write_value(made.slot->data, value.size, digest, made.contained);
    } else {
      made.bytes.resize(value.size);
      write_value(made.bytes.data(), value.size, digest, made.contained);
    }
    values.push_back(std::move(made));
  }
  for (ObjectEntry* entry : frame.slots) {
    if (entry != nullptr) client_->release(entry);
  }
  const Nanos duration = now() - began;
  leaving_ = frame.program.leaves && running_.size() == 1;
  client_->begin_result(frame.header.sequence, frame.spec.returns,
                        leaving_ ? uint32_t{ipc::kLeaving} : 0);
  for (uint32_t i = 0; i < frame.spec.returns; ++i) {
    if (!frame.error.empty()) {
      client_->add_inline(frame.error.data(), frame.error.size(), {}, ipc::kError);
    } else if (values[i].slot.has_value()) {
      client_->add_stored(*values[i].slot, values[i].contained, 0);
    } else {
      client_->add_inline(values[i].bytes.data(), values[i].bytes.size(), values[i].contained, 0);
    }
  }
  client_->end_result(duration);
  machine_.end_if_dead();
  context_.oracle.visible(running_.back().key);
  running_.pop_back();
  for (ObjectEntry* entry : held) client_->release(entry);
}

}  // namespace simulator

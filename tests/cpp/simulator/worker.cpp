#include "simulator/worker.h"

#include "ipc/cursor.h"
#include "node/system_error.h"

namespace simulator {

using namespace bolide;
using node::TaskView;
using node::WaitMode;
using node::WaitResult;
using Next = WorkerClient::Next;

SimWorker::SimWorker(const Context& context, std::unique_ptr<WorkerClient> client, uint32_t id)
    : context_(context),
      machine_(context.machine),
      process_(machine_.process()),
      client_(std::move(client)),
      id_(id) {}

void SimWorker::loop() {
  for (;;) {
    TaskView task;
    bool waited = false;
    Next next = client_->next_task(&task, 0, &waited);
    if (next == Next::kNothing) next = client_->next_task(&task, now() + 10 * kSecond, &waited);
    if (next == Next::kShutdown) return;
    if (next == Next::kTask) execute(task);
    if (leaving_) return;
    if (next == Next::kNothing) client_->forgotten();
  }
}

// ---- waiting

// wait is wait_entries of _hot_get.pxi.
bool SimWorker::wait(Frame& frame, ObjectEntry* entry, Nanos deadline, bool can_inline) {
  WaitMode mode;
  mode.runs_task = true;
  mode.can_inline = can_inline && deadline == INT64_MAX;
  WaitResult result;
  for (;;) {
    // Where nobody interrupts, no turn hides that somebody was not woken.
    const bool turns = context_.load.cancels_per_mille > 0;
    const Nanos until = turns ? std::min(deadline, now() + 100 * kMillisecond) : deadline;
    result = client_->wait(std::span(&entry, 1), 1, until, mode);
    if (result == WaitResult::kRunTask) {
      TaskView task;
      if (client_->inline_task(&task) == Next::kTask) execute(task);
    } else if (result != WaitResult::kTurnOver || now() >= deadline) {
      break;
    }
    look_for_interrupt(frame);
    if (!frame.error.empty()) break;
  }
  client_->end_wait(mode);
  return result == WaitResult::kReady;
}

bool SimWorker::get(Frame& frame, ObjectEntry* entry, Oracle::Read* read_to) {
  if (!entry->ready()) {
    client_->ask(std::span(&entry, 1), true);
    if (!wait(frame, entry, INT64_MAX, true)) {
      if (!frame.error.empty()) return false;
      fail("worker %u: a get without a limit came to an end", id_);
    }
  }
  *read_to = read_value(context_, *client_, entry);
  if (!read_to->error) return true;
  fail_by(frame, *read_to, entry);
  return false;
}

// fail_by gives a task the error that it has read.
void SimWorker::fail_by(Frame& frame, const Oracle::Read& read, ObjectEntry* entry) {
  store::ValueBytes value{reinterpret_cast<const std::byte*>(read.failure.data()),
                          read.failure.size()};
  if (read.failure.empty()) value = store::ObjectTable::inline_value(entry);
  frame.error.assign(value.data, value.data + value.size);
}

// get_inner gets the first reference that a value holds, as a task that decodes it.
void SimWorker::get_inner(Frame& frame, const Oracle::Read& outer) {
  if (outer.ids.empty()) return;
  ObjectEntry* entry = client_->acquire(ObjectId{outer.ids[0]});
  Oracle::Read inner;
  if (get(frame, entry, &inner)) frame.digest = mix(frame.digest, inner.digest);
  client_->release(entry);
}

// ---- a task

void SimWorker::execute(const TaskView& view) {
  machine_.end_if_dead();
  Arguments given;
  if (view.header.argument_bytes < sizeof given) fail("a task without arguments");
  std::memcpy(&given, view.arguments, sizeof given);
  context_.oracle.begun(given.key, view.header.task, view.header.attempt);
  running_.push_back({given.key, view.header.sequence, false});
  newest_ = view.header.sequence;
  machine_.trace("runs task %lu (%lx) attempt %u%s", given.key, view.header.task,
                 view.header.attempt, running_.size() > 1 ? " on top" : "");
  const Nanos began = now();
  Frame frame;
  frame.header = view.header;
  frame.spec = {given.seed,
                given.depth,
                given.returns,
                view.header.dependencies,
                view.header.contained,
                view.header.scheduling_class};
  frame.program = make_program(frame.spec, context_.load);
  decode(view, frame);
  const bool may_retry = view.header.max_retries < 0 ||
                         view.header.attempt < static_cast<uint32_t>(view.header.max_retries);
  frame.raises = may_retry && view.header.attempt < given.raises;
  run(frame);
  finish(frame, began);
  machine_.trace("has ended task %lu%s", given.key, frame.error.empty() ? "" : " with an error");
}

void SimWorker::decode(const TaskView& view, Frame& frame) {
  uint64_t function_bytes = 0;
  if (client_->function_value(view.header.function, &function_bytes) == nullptr) {
    fail("worker %u lacks the function of its task", id_);
  }
  ipc::Reader in(view.values, view.value_bytes);
  std::vector<std::pair<size_t, ObjectEntry*>> elsewhere;
  for (uint32_t i = 0; i < view.header.dependencies; ++i) {
    const auto header = in.take<ipc::ValueHeader>();
    if (header.object != view.dependencies[i]) fail("a task got the value of another object");
    if (header.kind == ipc::ValueKind::kStored) {
      const auto where = in.take<Location>();
      ObjectEntry* owner = client_->acquire(ObjectId{header.object});
      client_->pin_argument(owner, where);
      frame.owners.push_back(owner);
      frame.dependencies.push_back(read_pinned(context_, *client_, owner));
    } else if (header.kind == ipc::ValueKind::kElsewhere) {
      ObjectEntry* owner = client_->acquire(ObjectId{header.object});
      client_->expect_argument(owner, header.size);
      frame.owners.push_back(owner);
      elsewhere.emplace_back(i, owner);
      frame.dependencies.emplace_back();
    } else {
      const std::byte* bytes = in.bytes(header.size);
      frame.dependencies.push_back(
          context_.oracle.value(header.object, bytes, header.size, header.flags));
    }
    if (!in.ok()) fail("a task record is too short");
    if (frame.dependencies.back().error) fail("a task was sent the error of a dependency");
    for (uint64_t id : frame.dependencies.back().ids) client_->acquire(ObjectId{id});
  }
  for (uint32_t i = 0; i < view.header.contained; ++i) {
    frame.slots.push_back(client_->acquire(ObjectId{view.contained[i]}));
  }
  client_->task_taken();
  for (const auto& [i, owner] : elsewhere) {
    frame.dependencies[i] = read_value(context_, *client_, owner);
    if (frame.dependencies[i].error) fail_by(frame, frame.dependencies[i], owner);
    for (uint64_t id : frame.dependencies[i].ids) client_->acquire(ObjectId{id});
  }
}

void SimWorker::look_for_interrupt(Frame& frame) {
  const uint64_t own = frame.header.sequence;
  bool interrupted = pending_interrupts_.erase(own) > 0;
  if (process_.signalled) {
    process_.signalled = false;
    const uint64_t sequence = client_->interrupt_word();
    if (sequence != 0 && sequence <= newest_) {  // else it is seen already, or not begun yet
      client_->interrupt_done(sequence);
      interrupted |= sequence == own;
      if (sequence != own && client_->runs(sequence)) pending_interrupts_.insert(sequence);
    }
  }
  if (!interrupted || !frame.error.empty()) return;
  client_->note_interrupt(own);
  const std::string text = node::encode_system_error(
      node::SystemErrorKind::kTaskCancelled,
      "It is a call of '" + std::to_string(running_.back().key) + "' that was running.");
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  frame.error.assign(bytes, bytes + text.size());
}

}  // namespace simulator

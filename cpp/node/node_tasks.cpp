// node_tasks: a task's life: admitted, waiting for its dependencies, sent to a worker, ended by a
// result, a failure or a lost worker.
#include <signal.h>

#include <algorithm>

#include "node/node.h"
#include "os/process.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using store::Holding;

bool is_stored_here(const ObjectEntry* entry) {
  return entry->holding == Holding::kStored && !entry->presence.is_away();
}

uint64_t value_size(const ObjectEntry* entry) {
  uint64_t bytes = 0;
  if (entry->holding != Holding::kStored) {
    bytes = store::ObjectTable::inline_value(entry).size;
  } else if (!entry->presence.is_away()) {
    bytes = sizeof(Location);
  }
  return sizeof(ipc::ValueHeader) + ipc::align8(bytes);
}

void write_value(ipc::Writer& out, const ObjectEntry* entry) {
  ipc::ValueHeader header{};
  header.object = entry->id.value;
  header.flags = entry->value_flags;
  if (entry->holding == Holding::kStored) {
    header.size = entry->where.size;
    header.kind = is_stored_here(entry) ? ipc::ValueKind::kStored : ipc::ValueKind::kElsewhere;
    out.put(header);
    if (is_stored_here(entry)) out.put(entry->where);
  } else {
    const store::ValueBytes value = store::ObjectTable::inline_value(entry);
    header.kind = ipc::ValueKind::kInline;
    header.size = value.size;
    out.put(header);
    out.bytes(value.data, value.size);
  }
}

}  // namespace

WorkerLink* Node::link_of(const sched::Worker& worker) const {
  return static_cast<WorkerLink*>(worker.owner);
}

WorkerLink* Node::link_of(uint32_t worker) const {
  auto it = links_.find(worker);
  return it == links_.end() ? nullptr : it->second.get();
}

// admit books a task's references and queues it. The caller has filled header and body. Returns
// the entry of the first return, held once for the submitter (nullptr when it returns nothing).
// `unwanted`: its parent was cancelled when it was on its way here. The task may be gone afterwards.
Result<ObjectEntry*> Node::admit(Task* task, WorkerLink* submitter, bool unwanted) {
  if ((task->header.flags & (ipc::kActorCall | ipc::kActorCreation)) != 0) {
    return (task->header.flags & ipc::kActorCall) != 0 ? admit_call(task, submitter, unwanted)
                                                       : admit_creation(task);
  }
  const uint64_t key = task->header.scheduling_class;
  task->cls = key == sched::kDefaultClass ? scheduler_.default_class() : scheduler_.cls(key);
  task->function = objects_.find(ObjectId{task->header.function});
  if (task->cls == nullptr || task->function == nullptr || !arguments_exist(task)) {
    Task::destroy(task);
    return Status(Code::kInvalid,
                  "a task names a function, scheduling class or reference that does not exist");
  }
  ObjectEntry* first = book(task, submitter);
  if (unwanted) {
    fail_cancelled(task);
  } else if (await_dependencies(task)) {
    make_ready(task);
  }
  return first;
}

bool Node::arguments_exist(Task* task) {
  for (uint64_t id : task->dependencies()) {
    if (objects_.find(ObjectId{id}) == nullptr) return false;
  }
  for (uint64_t id : task->contained()) {
    if (objects_.find(ObjectId{id}) == nullptr) return false;
  }
  return true;
}

// book takes the references that a task holds, and makes its returns.
ObjectEntry* Node::book(Task* task, WorkerLink* submitter) {
  ++task->function->refs;
  for (uint64_t id : task->dependencies()) ++objects_.find(ObjectId{id})->refs;
  for (uint64_t id : task->contained()) ++objects_.find(ObjectId{id})->refs;
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    // One reference is the task's own, until it has made the value; one the submitter's.
    ObjectEntry* entry = objects_.add(ObjectId{task->header.task + i}, 2);
    entry->producer = task;
    if (i == 0) task->result = entry;
    if (submitter != nullptr) submitter->held.insert(entry->id.value, kHeld);
  }
  if ((task->header.flags & ipc::kStreaming) != 0) {
    open_stream(task);
    if (submitter != nullptr) submitter->held.insert(stream_of(task->header.task).value, 1);
  }
  ++tasks_;
  ++submitted_;
  return task->result;
}

// await_dependencies has the task told when they are ready; true: they all are.
bool Node::await_dependencies(Task* task) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->ready()) continue;
    entry->flags |= store::kHasDependents;
    dependents_[id].push_back(task);
    ++task->waiting_for;
  }
  return task->waiting_for == 0;
}

ObjectEntry* Node::failed_dependency(Task* task) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if ((entry->value_flags & ipc::kError) != 0) return entry;
  }
  return nullptr;
}

void Node::make_ready(Task* task) {
  if (ObjectEntry* failed = failed_dependency(task)) {
    if (task->calls != nullptr) calls_.forget(task);
    fail_like(task, failed);
  } else if (task->calls != nullptr) {
    calls_.ready(task);
  } else {
    scheduler_.submit(task, coarse_now_);
  }
}

void Node::assign(sched::Worker& worker, sched::Task& task, bool inlined) {
  auto* sent = static_cast<Task*>(&task);
  WorkerLink& link = *link_of(worker);
  if (worker.new_devices) send_devices(link);
  send_task(link, sent, inlined);
  if ((sent->header.flags & ipc::kActorCreation) != 0) begin_actor(link, sent);
}

// send_devices tells a worker which GPUs it has for the tasks that follow.
void Node::send_devices(WorkerLink& link) {
  link.worker.new_devices = false;
  const sched::Shares& devices = link.worker.devices;
  const uint64_t size = sizeof(ipc::DeviceList) + devices.size() * sizeof(ipc::DeviceShare);
  link.send(RecordType::kDevices, size, [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(ipc::DeviceList{devices.size()});
    for (const sched::Share& share : devices) {
      out.put(ipc::DeviceShare{share.device, static_cast<uint32_t>(share.amount)});
    }
  });
}

void Node::send_task(WorkerLink& link, Task* task, bool inlined) {
  ipc::TaskHeader& header = task->header;
  header.sequence = link.next_sequence++;
  header.flags = inlined ? header.flags | ipc::kInline
                         : header.flags & ~static_cast<uint32_t>(ipc::kInline);
  if (header.function != link.last_function) {
    if (link.functions.insert(header.function).second) send_value(link, task->function);
    link.last_function = header.function;
  }
  if ((header.flags & ipc::kStreaming) != 0) begin_stream(link, task);
  uint64_t size = sizeof header + task->body_bytes();
  if (header.dependencies == 0 && size <= link.tasks.largest_record()) {
    // The usual case: header and body lie together, as they go into the ring.
    const uint64_t at = link.send(
        RecordType::kTask, size, [&](std::byte* to) { std::memcpy(to, &header, size); },
        header.sequence);
    link.outstanding.push_back({header.sequence, at, task, inlined});
    mark_dirty(link);
    return;
  }
  if (header.dependencies != 0) {
    for (uint64_t id : task->dependencies()) {
      ObjectEntry* entry = objects_.find(ObjectId{id});
      if (is_stored_here(entry)) send_chunk(link, entry->where.chunk);
      size += value_size(entry);
    }
  }
  const auto fill = [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(header);
    out.bytes(task->body(), task->body_bytes());
    for (uint64_t id : task->dependencies()) write_value(out, objects_.find(ObjectId{id}));
  };
  const auto position = send_sized(link, RecordType::kTask, size, fill, header.sequence);
  if (!position.is_ok()) {
    --link.next_sequence;
    unsendable_.push_back({task, inlined, position.status().message()});
    return;
  }
  lend_arguments(task);
  link.outstanding.push_back({header.sequence, position.value(), task, inlined});
}

// lend_arguments: a worker is being told where the arguments of the task lie, so until it says
// that the task is over they may not move. What is not in memory it will ask for.
void Node::lend_arguments(Task* task) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding != Holding::kStored) continue;
    ++entry->readers;
    if (entry->presence.is_away()) spiller_.bring_back(entry, coarse_now_);
  }
}

// take_arguments_back ends that. A worker that holds one of them when the task has run may have
// kept the place; it counts as told until it gives the reference up.
void Node::take_arguments_back(WorkerLink& link, Task* task, bool has_run) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding != Holding::kStored) continue;
    --entry->readers;
    if (has_run) tell(link, entry);
  }
}

// tell books that the worker may know where a value lies, if it holds the object.
void Node::tell(WorkerLink& link, ObjectEntry* entry) {
  uint32_t* held = link.held.find(entry->id.value);
  if (held == nullptr || (*held & kTold) != 0) return;
  *held |= kTold;
  ++entry->readers;
}

// fail_unsendable ends the tasks whose records are too large for a ring and found no memory.
// Apart from send_task, because the scheduler that called it is in the middle of a decision.
void Node::fail_unsendable() {
  while (!unsendable_.empty()) {
    const auto [task, inlined, why] = std::move(unsendable_.back());
    unsendable_.pop_back();
    WorkerLink& link = *link_of(*task->worker);
    if (task->calls != nullptr) {
      calls_.ended(task);
    } else if (link.actor != nullptr) {  // a constructor: without it, the worker is of no use
      scheduler_.abandon(link.worker, task);
      link.actor->creation_out = false;
      std::exchange(link.actor, nullptr)->link = nullptr;
      if (link.pid > 0) os::kill_group(link.pid, SIGKILL);
    } else {
      if (inlined) {
        scheduler_.handed_back(link.worker, task, true);
      } else {
        scheduler_.taken_back(link.worker, task);
      }
      scheduler_.forget(task);
    }
    fail(task, SystemErrorKind::kObjectStoreFull,
         "the call of '" + task_name(task) + "' with its " +
             std::to_string(task->header.dependencies) +
             " references could not be sent to a worker: " + why);
  }
}

void Node::send_value(WorkerLink& link, ObjectEntry* entry) {
  if (entry->presence.is_away()) {
    const std::string* failure = spiller_.failure(entry->id);
    BOLIDE_CHECK(failure != nullptr, "a value that is away was to be sent");
    send_failure(link, entry, *failure);
    return;
  }
  if (entry->holding == Holding::kStored) {
    send_chunk(link, entry->where.chunk);
    tell(link, entry);
  }
  const auto fill = [&](std::byte* to) {
    ipc::Writer out(to);
    write_value(out, entry);
  };
  const auto sent = send_sized(link, RecordType::kValue, value_size(entry), fill, 0);
  if (sent.is_ok()) return;
  // Only an error with a long text is so large. A short one takes its place in that worker.
  const std::string error =
      encode_system_error(SystemErrorKind::kObjectStoreFull, sent.status().message());
  ipc::ValueHeader header{};
  header.object = entry->id.value;
  header.size = error.size();
  header.kind = ipc::ValueKind::kInline;
  header.flags = ipc::kError | ipc::kSystemError;
  link.send(RecordType::kValue, sizeof header + ipc::align8(error.size()), [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(header);
    out.bytes(error.data(), error.size());
  });
}

void Node::send_chunk(WorkerLink& link, ChunkId chunk) {
  if (!link.chunks.insert(chunk.value).second) return;
  const os::Fd* fd = objects_.registry().fd(chunk);
  BOLIDE_CHECK(fd != nullptr, "an object lies in a chunk that is closed");
  link.send_descriptor(chunk.value, *fd);
  const ipc::ChunkNotice notice{objects_.registry().size(chunk), chunk.value, 0};
  link.send(RecordType::kChunk, sizeof notice,
            [&](std::byte* to) { ipc::Writer(to).put(notice); });
  mark_dirty(link);
}

// send_failure answers a question for a value that could not be brought back.
void Node::send_failure(WorkerLink& link, const ObjectEntry* entry, const std::string& failure) {
  const auto fill = [&](std::byte* to) {
    ipc::ValueHeader header{};
    header.object = entry->id.value;
    header.kind = ipc::ValueKind::kElsewhere;
    header.size = entry->where.size;
    ipc::Writer out(to);
    out.put(header);
    out.put(uint64_t{failure.size()});
    out.bytes(failure.data(), failure.size());
  };
  const uint64_t size = sizeof(ipc::ValueHeader) + sizeof(uint64_t) + ipc::align8(failure.size());
  link.send(RecordType::kValue, size, fill);
  mark_dirty(link);
}

// send_sized sends a record through the ring, or through the store when it is too large; fails
// when there is no memory for that.
Result<uint64_t> Node::send_sized(WorkerLink& link, RecordType type, uint64_t size,
                                  const std::function<void(std::byte*)>& fill,
                                  uint64_t sequence) {
  mark_dirty(link);
  if (size <= link.tasks.largest_record()) return link.send(type, size, fill, sequence);
  store::Slot slot;
  Status room = try_reserve(size, false, true, &slot);
  if (!room.is_ok()) return room;
  fill(slot.data);
  link.jumbo_spans.push_back(slot.where);
  send_chunk(link, slot.where.chunk);
  const ipc::JumboRecord jumbo{slot.where, size, static_cast<uint16_t>(type), 0, 0};
  return link.send(RecordType::kJumbo, sizeof jumbo,
                   [&](std::byte* to) { ipc::Writer(to).put(jumbo); }, sequence);
}

void Node::mark_dirty(WorkerLink& link) {
  // Few links are dirty at a time, and usually it is the last one again.
  for (size_t i = dirty_.size(); i-- > 0;) {
    if (dirty_[i] == &link) return;
  }
  dirty_.push_back(&link);
}

void Node::take_back(sched::Worker& worker) {
  std::vector<Location> unsent;
  const std::vector<Task*> tasks = link_of(worker)->take_back(&unsent);
  for (const Location& span : unsent) free_span(span);
  for (size_t i = tasks.size(); i-- > 0;) {
    take_arguments_back(*link_of(worker), tasks[i], false);
    scheduler_.taken_back(worker, tasks[i]);
  }
}

sched::Task* Node::awaited_by(sched::Worker& worker, sched::SchedulingClass& cls) {
  const auto& stack = link_of(worker)->awaited;
  if (stack.empty()) return nullptr;
  for (uint64_t id : stack.back()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry == nullptr || entry->ready()) continue;
    auto* task = static_cast<Task*>(entry->producer);
    // One that yields would wait for its consumer, which waits below it.
    if ((task->header.flags & ipc::kStreaming) != 0) continue;
    if (task->state == sched::TaskState::kReady && task->cls == &cls) return task;
  }
  return nullptr;
}

void Node::warn_infeasible(sched::SchedulingClass& cls) {
  const sched::Ledger& ledger = scheduler_.ledger();
  warnings_.push_back("A task needs " + ledger.describe(cls.need) +
                      " and can never run on this node: it lacks " + ledger.missing(cls.need) +
                      ". Start the runtime with more (num_cpus, num_gpus or resources of "
                      "bolide.init), or ask for less in the task's options.");
  service_->push(0);
}

ObjectEntry* Node::return_entry(Task* task, uint32_t index) {
  return index == 0 ? task->result : objects_.find(ObjectId{task->header.task + index});
}

// finish gives back what the task held. Its returns have their values.
void Node::finish(Task* task) {
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    ObjectEntry* entry = return_entry(task, i);
    if (entry->flags != 0) value_ready(entry);
  }
  if ((task->header.flags & ipc::kStreaming) != 0) end_stream(task);
  for (uint32_t i = task->header.returns; i-- > 0;) objects_.release(return_entry(task, i));
  drop_arguments(task);
  --tasks_;
  ++completed_;
  settle();
}

// drop_arguments ends the record and what it holds beside its returns.
void Node::drop_arguments(Task* task) {
  for (uint64_t id : task->dependencies()) objects_.release(objects_.find(ObjectId{id}));
  for (uint64_t id : task->contained()) objects_.release(objects_.find(ObjectId{id}));
  objects_.release(task->function);
  Task::destroy(task);
}

// fail_unbooked gives the returns of a call that could not be admitted this value; they are held
// once for the submitter. The first of them, nullptr when there is none.
ObjectEntry* Node::fail_unbooked(const ipc::TaskHeader& header, WorkerLink* submitter,
                                 const std::string& value) {
  ObjectEntry* first = nullptr;
  for (uint32_t i = 0; i < header.returns; ++i) {
    ObjectEntry* entry = objects_.add(return_of(ObjectId{header.task}, i), 1);
    objects_.table().set_inline(entry, value.data(), value.size(),
                                ipc::kError | ipc::kSystemError);
    if (submitter != nullptr) submitter->held.insert(entry->id.value, kHeld);
    if (i == 0) first = entry;
  }
  if ((header.flags & ipc::kStreaming) != 0) {  // one that has ended
    ObjectEntry* handle = objects_.add(stream_of(header.task), 1);
    objects_.table().set_inline(handle, nullptr, 0, ipc::kStream);
    if (submitter != nullptr) submitter->held.insert(handle->id.value, 1);
  }
  return first;
}

// settle lets tasks run whose last dependency has come. A failed dependency fails them at once,
// which may settle others: a loop here, since a chain of them may be long.
void Node::settle() {
  if (settling_) return;
  settling_ = true;
  while (!settled_.empty()) {
    Task* task = settled_.back();
    settled_.pop_back();
    make_ready(task);
  }
  settling_ = false;
}

void Node::fail(Task* task, SystemErrorKind kind, std::string_view text) {
  if ((task->header.flags & ipc::kActorCreation) != 0) {
    creation_failed(task, SystemErrorKind::kActorDied,
                    "Its constructor could not be run: " + std::string(text));
    return;
  }
  const std::string value = encode_system_error(kind, text);
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    objects_.table().set_inline(return_entry(task, i), value.data(), value.size(),
                                ipc::kError | ipc::kSystemError);
  }
  finish(task);
}

// bytes_of is where a value lies that is to be read here; data is nullptr if that cannot be.
store::ValueBytes Node::bytes_of(ObjectEntry* entry) {
  if (entry->holding != Holding::kStored) return store::ObjectTable::inline_value(entry);
  return {resolve_locked(entry->where), entry->where.size};
}

void Node::fail_like(Task* task, ObjectEntry* cause) {
  const store::ValueBytes value = bytes_of(cause);
  if (value.data == nullptr) {
    fail(task, SystemErrorKind::kRaySystem, "the error of a dependency could not be read");
    return;
  }
  if ((task->header.flags & ipc::kActorCreation) != 0) {
    const std::string_view bytes(reinterpret_cast<const char*>(value.data), value.size);
    if ((cause->value_flags & ipc::kSystemError) == 0) {
      creation_failed(task, SystemErrorKind::kActorInitFailed, bytes);
    } else {
      fail(task, SystemErrorKind::kRaySystem, system_error_text(bytes));
    }
    return;
  }
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    objects_.table().set_inline(return_entry(task, i), value.data, value.size,
                                cause->value_flags);
  }
  finish(task);
}

// value_ready tells everybody who waits for the object.
void Node::value_ready(ObjectEntry* entry) {
  if ((entry->flags & store::kHasDependents) != 0) {
    entry->flags = static_cast<uint8_t>(entry->flags & ~store::kHasDependents);
    auto node = dependents_.extract(entry->id.value);
    for (Task* task : node.mapped()) {
      if (--task->waiting_for == 0) settled_.push_back(task);
    }
  }
  if ((entry->flags & store::kWatched) == 0) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kWatched);
  auto node = watchers_.extract(entry->id.value);
  for (Watcher& watcher : node.mapped()) {
    switch (watcher.kind) {
      case Watcher::Kind::kThread:
        notify(*watcher.waiter);
        break;
      case Watcher::Kind::kQueue:
        --watched_by_queues_;
        watcher.queue->push(watcher.token);
        break;
      case Watcher::Kind::kWorkerValue:
        if (WorkerLink* link = link_of(watcher.worker)) send_value(*link, entry);
        break;
      case Watcher::Kind::kWorkerReady:
        if (WorkerLink* link = link_of(watcher.worker)) {
          const uint64_t id = entry->id.value;
          link->send_ids(RecordType::kReady, std::span(&id, 1));
          mark_dirty(*link);
        }
        break;
    }
  }
}

}  // namespace bolide::node

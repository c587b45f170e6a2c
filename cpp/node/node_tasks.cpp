// node_tasks: a task's life: admitted, waiting for its dependencies, sent to a worker, ended by a
// result, a failure or a lost worker.
#include <algorithm>

#include "node/node.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using store::Holding;

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
  const Barred* barring = task->cls == nullptr ? barred(key) : nullptr;
  const bool runs = task->cls == nullptr ? barring != nullptr : !task->cls->dedicated;
  if (!runs || !is_function(task->function) ||
      !arguments_exist(task)) {
    Task::destroy(task_memory_, task);
    return Status(Code::kInvalid,
                  "a task names a function, scheduling class or reference that does not exist");
  }
  ObjectEntry* first = book(task, submitter);
  if (unwanted) {
    fail_cancelled(task);
  } else if (barring != nullptr) {
    fail_barred(task, *barring);
  } else if (await_dependencies(task)) {
    make_ready(task);
  }
  return first;
}

bool Node::is_function(const ObjectEntry* entry) {
  return entry != nullptr && (entry->value_flags & ipc::kFunction) != 0;
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
  } else if (task->header.dependencies != 0 && !weigh(task)) {
    return;
  } else if (task->calls != nullptr) {
    calls_.ready(task);
  } else {
    scheduler_.submit(task, coarse_now_);
  }
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
  if (cls.group != nullptr && cls.group->state == sched::GroupState::kImpossible) return;  // told
  const std::string where =
      cls.group == nullptr ? "on this node: it lacks " + scheduler_.ledger().missing(cls.need)
                           : "in its placement group: " + lack(cls);
  warnings_.push_back("A task needs " + scheduler_.ledger().describe(cls.need) +
                      " and can never run " + where + ". Start the runtime with more (num_cpus, num_gpus or resources of "
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
  Task::destroy(task_memory_, task);
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

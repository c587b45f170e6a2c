// sim_node_tasks: a task's life, as in cpp/node/node_tasks.cpp.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/sim_node.h"

namespace simulator {

using ipc::RecordType;
using store::Holding;

namespace {

uint64_t value_size_of(const ObjectEntry* entry) {
  const uint64_t bytes = entry->holding == Holding::kStored
                             ? sizeof(Location)
                             : store::ObjectTable::inline_value(entry).size;
  return sizeof(ipc::ValueHeader) + ipc::align8(bytes);
}

void write_entry(ipc::Writer& out, const ObjectEntry* entry) {
  ipc::ValueHeader header{};
  header.object = entry->id.value;
  header.flags = entry->value_flags;
  if (entry->holding == Holding::kStored) {
    header.kind = ipc::ValueKind::kStored;
    header.size = entry->where.size;
    out.put(header);
    out.put(entry->where);
  } else {
    const store::ValueBytes value = store::ObjectTable::inline_value(entry);
    header.kind = ipc::ValueKind::kInline;
    header.size = value.size;
    out.put(header);
    out.bytes(value.data, value.size);
  }
}

}  // namespace

WorkerLink* SimNode::link_of(uint32_t worker) const {
  auto it = links_.find(worker);
  return it == links_.end() ? nullptr : it->second.get();
}

Result<ObjectEntry*> SimNode::admit(Task* task, WorkerLink* submitter) {
  const uint64_t key = task->header.scheduling_class;
  task->cls = key == sched::kDefaultClass ? scheduler_.default_class() : scheduler_.cls(key);
  task->function = objects_.find(ObjectId{task->header.function});
  bool known = task->cls != nullptr && task->function != nullptr;
  for (uint64_t id : task->dependencies()) known = known && objects_.find(ObjectId{id}) != nullptr;
  for (uint64_t id : task->contained()) known = known && objects_.find(ObjectId{id}) != nullptr;
  if (!known) {
    Task::destroy(task);
    return Status(Code::kInvalid, "a task names what does not exist");
  }
  ++task->function->refs;
  for (uint64_t id : task->dependencies()) ++objects_.find(ObjectId{id})->refs;
  for (uint64_t id : task->contained()) ++objects_.find(ObjectId{id})->refs;
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    ObjectEntry* entry = objects_.add(ObjectId{task->header.task + i}, 2);
    entry->producer = task;
    if (i == 0) task->result = entry;
    if (submitter != nullptr) submitter->held.insert(entry->id.value, 1);
  }
  ObjectEntry* first = task->result;
  ++tasks_;
  ++submitted_;
  run_when_ready(task);
  return first;
}

void SimNode::run_when_ready(Task* task) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->ready()) continue;
    entry->flags |= store::kHasDependents;
    dependents_[id].push_back(task);
    ++task->waiting_for;
  }
  if (task->waiting_for == 0) make_ready(task);
}

void SimNode::make_ready(Task* task) {
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if ((entry->value_flags & ipc::kError) != 0) {
      fail_like(task, entry);
      return;
    }
  }
  scheduler_.submit(task, coarse_now_);
}

void SimNode::assign(sched::Worker& worker, sched::Task& task, bool inlined) {
  send_task(*static_cast<WorkerLink*>(worker.owner), static_cast<Task*>(&task), inlined);
}

void SimNode::send_task(WorkerLink& link, Task* task, bool inlined) {
  ipc::TaskHeader& header = task->header;
  header.sequence = link.next_sequence++;
  host_.trace("node: task %lx attempt %u to worker %u as %lu%s", header.task, header.attempt,
              link.worker.id.value, header.sequence, inlined ? ", to be inlined" : "");
  header.flags = inlined ? header.flags | ipc::kInline
                         : header.flags & ~static_cast<uint32_t>(ipc::kInline);
  if (header.function != link.last_function) {
    if (link.functions.insert(header.function).second) send_value(link, task->function);
    link.last_function = header.function;
  }
  uint64_t size = sizeof header + task->body_bytes();
  for (uint64_t id : task->dependencies()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry->holding == Holding::kStored) send_chunk(link, entry->where.chunk);
    size += value_size_of(entry);
  }
  const auto fill = [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(header);
    out.bytes(task->body(), task->body_bytes());
    for (uint64_t id : task->dependencies()) write_entry(out, objects_.find(ObjectId{id}));
  };
  const uint64_t position = send_sized(link, RecordType::kTask, size, fill, header.sequence);
  link.outstanding.push_back({header.sequence, position, task, inlined});
}

void SimNode::send_value(WorkerLink& link, ObjectEntry* entry) {
  if (entry->holding == Holding::kStored) send_chunk(link, entry->where.chunk);
  send_sized(link, RecordType::kValue, value_size_of(entry),
             [&](std::byte* to) {
               ipc::Writer out(to);
               write_entry(out, entry);
             },
             0);
}

void SimNode::send_chunk(WorkerLink& link, ChunkId chunk) {
  if (!link.chunks.insert(chunk.value).second) return;
  const os::Fd* fd = objects_.registry().fd(chunk);
  BOLIDE_CHECK(fd != nullptr, "an object lies in a chunk that is closed");
  link.send_descriptor(chunk.value, *fd);
  const ipc::ChunkNotice notice{objects_.registry().size(chunk), chunk.value, 0};
  link.send(RecordType::kChunk, sizeof notice,
            [&](std::byte* to) { ipc::Writer(to).put(notice); });
  mark_dirty(link);
}

uint64_t SimNode::send_sized(WorkerLink& link, RecordType type, uint64_t size,
                             const std::function<void(std::byte*)>& fill, uint64_t sequence) {
  mark_dirty(link);
  if (size <= link.tasks.largest_record()) return link.send(type, size, fill, sequence);
  store::Slot slot;
  const Status room = try_reserve(size, true, &slot);
  BOLIDE_CHECK(room.is_ok(), "no memory for a control record");
  fill(slot.data);
  link.jumbo_spans.push_back(slot.where);
  send_chunk(link, slot.where.chunk);
  const ipc::JumboRecord jumbo{slot.where, size, static_cast<uint16_t>(type), 0, 0};
  return link.send(RecordType::kJumbo, sizeof jumbo,
                   [&](std::byte* to) { ipc::Writer(to).put(jumbo); }, sequence);
}

void SimNode::mark_dirty(WorkerLink& link) {
  if (std::find(dirty_.begin(), dirty_.end(), &link) == dirty_.end()) dirty_.push_back(&link);
}

void SimNode::take_back(sched::Worker& worker) {
  std::vector<Location> unsent;
  auto* link = static_cast<WorkerLink*>(worker.owner);
  const std::vector<Task*> tasks = link->take_back(&unsent);
  for (const Location& span : unsent) arena_.free(span);
  for (size_t i = tasks.size(); i-- > 0;) {
    host_.trace("node: takes task %lx back from worker %u", tasks[i]->header.task,
                worker.id.value);
    scheduler_.taken_back(worker, tasks[i]);
  }
}

sched::Task* SimNode::awaited_by(sched::Worker& worker, sched::SchedulingClass& cls) {
  const auto& stack = static_cast<WorkerLink*>(worker.owner)->awaited;
  if (stack.empty()) return nullptr;
  for (uint64_t id : stack.back()) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if (entry == nullptr || entry->ready()) continue;
    auto* task = static_cast<Task*>(entry->producer);
    if (task->state == sched::TaskState::kReady && task->cls == &cls) return task;
  }
  return nullptr;
}

void SimNode::warn_infeasible(sched::SchedulingClass&) {
  fail("a class that can run was found to be infeasible");
}

ObjectEntry* SimNode::return_entry(Task* task, uint32_t index) {
  return index == 0 ? task->result : objects_.find(ObjectId{task->header.task + index});
}

void SimNode::finish(Task* task) {
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    ObjectEntry* entry = return_entry(task, i);
    if (entry->flags != 0) value_ready(entry);
  }
  for (uint32_t i = task->header.returns; i-- > 0;) objects_.release(return_entry(task, i));
  for (uint64_t id : task->dependencies()) objects_.release(objects_.find(ObjectId{id}));
  for (uint64_t id : task->contained()) objects_.release(objects_.find(ObjectId{id}));
  objects_.release(task->function);
  Task::destroy(task);
  --tasks_;
  ++completed_;
  settle();
}

void SimNode::settle() {
  if (settling_) return;
  settling_ = true;
  while (!settled_.empty()) {
    Task* task = settled_.back();
    settled_.pop_back();
    make_ready(task);
  }
  settling_ = false;
}

void SimNode::fail_task(Task* task, node::SystemErrorKind kind, std::string_view text) {
  const std::string value = node::encode_system_error(kind, text);
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    objects_.table().set_inline(return_entry(task, i), value.data(), value.size(),
                                ipc::kError | ipc::kSystemError);
  }
  finish(task);
}

void SimNode::fail_all_ready() {
  host_.gave_up();
  for (sched::Task* task : scheduler_.take_all_ready()) {
    fail_task(static_cast<Task*>(task), node::SystemErrorKind::kRuntimeEnvSetup,
              "No worker could be started.");
  }
}

void SimNode::fail_like(Task* task, ObjectEntry* cause) {
  const store::ValueBytes bytes = value(cause);
  BOLIDE_CHECK(bytes.data != nullptr, "the error of a dependency could not be read");
  for (uint32_t i = 0; i < task->header.returns; ++i) {
    objects_.table().set_inline(return_entry(task, i), bytes.data, bytes.size,
                                cause->value_flags);
  }
  finish(task);
}

void SimNode::value_ready(ObjectEntry* entry) {
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
  for (const Watcher& watcher : node.mapped()) {
    WorkerLink* link = link_of(watcher.worker);
    if (link == nullptr) continue;
    if (watcher.value) {
      send_value(*link, entry);
    } else {
      const uint64_t id = entry->id.value;
      link->send_ids(RecordType::kReady, std::span(&id, 1));
      mark_dirty(*link);
    }
  }
}

void SimNode::task_lost(Task* task) {
  const int32_t limit = task->header.max_retries;
  if (limit < 0 || task->header.attempt < static_cast<uint32_t>(limit)) {
    ++task->header.attempt;
    ++retries_;
    scheduler_.resubmit(task);
    return;
  }
  fail_task(task, node::SystemErrorKind::kWorkerCrashed,
            "The worker process that ran the task '" + std::to_string(task->header.task) +
                "' died.");
}

}  // namespace simulator

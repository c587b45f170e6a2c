// node_sending: tasks, and the values that they need, on their way to a worker.
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
  lend_arguments(link, task);
  link.outstanding.push_back({header.sequence, position.value(), task, inlined});
}

// lend_arguments: a worker is being told where the arguments of the task lie, so until it says
// that the task is over they may not move. What is not in memory it will ask for.
void Node::lend_arguments(WorkerLink& link, Task* task) {
  if (task->heavy) lend_heavy(link, task);
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
  if (task->heavy) take_heavy_back(task);
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

}  // namespace bolide::node

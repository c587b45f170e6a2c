// sim_node_records: what arrives through a worker's ring, as in cpp/node/node_records.cpp. Here a
// record that cannot be ends the run: the simulated workers are honest.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/sim_node.h"

namespace simulator {

using ipc::RecordType;

bool SimNode::drain_link(WorkerLink& link) {
  bool found = false;
  Status status;
  for (int i = 0; i < 1024 && status.is_ok(); ++i) {
    ipc::Record record;
    const auto peek = link.replies.peek(record);
    if (peek == ipc::RingConsumer::Peek::kEmpty) break;
    if (peek == ipc::RingConsumer::Peek::kCorrupt) {
      status = malformed("its ring is corrupt");
      break;
    }
    found = true;
    link.replies.pop();
    status = handle(link, static_cast<RecordType>(record.type), record.payload, record.size);
  }
  if (link.replies.unreleased() != 0 && link.replies.release_space()) {
    ipc::RingControl* control = link.replies.control();
    control->space_signal.fetch_add(1);
  }
  if (link.has_overflow()) mark_dirty(link);
  if (!status.is_ok()) {
    fail("worker %u sent a malformed record: %s", link.worker.id.value,
         status.message().c_str());
  }
  return found;
}

Status SimNode::handle(WorkerLink& link, RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kResult:
      return on_result(link, in);
    case RecordType::kSubmit:
      return on_submit(link, data, size);
    case RecordType::kPut:
      return on_put(link, in);
    case RecordType::kAcquire:
      return on_acquire(link, in);
    case RecordType::kRelease:
      return on_release(link, in);
    case RecordType::kGet:
      return on_ask(link, in, true);
    case RecordType::kWait:
      return on_ask(link, in, false);
    case RecordType::kBlocked:
      return on_blocked(link, in, true);
    case RecordType::kUnblocked:
      return on_blocked(link, in, false);
    case RecordType::kHandBack:
      return on_hand_back(link, in);
    case RecordType::kChunkWanted:
      return on_chunk_wanted(link, in);
    case RecordType::kChunkReturned:
      return on_chunk_returned(link, in);
    case RecordType::kFreeSpan:
      return on_free_span(link, in);
    case RecordType::kJumbo:
      return on_jumbo(link, in);
    case RecordType::kHello:
      if (link.hello) return malformed("a second greeting");
      link.hello = true;
      failed_starts_ = 0;
      scheduler_.worker_ready(link.worker, coarse_now_);
      return Status();
    default:
      return malformed("its type is unknown");
  }
}

Status SimNode::set_value(ObjectEntry* entry, ipc::Reader& in, const ipc::ValueHeader& header,
                          ClientId owner) {
  if (header.kind == ipc::ValueKind::kStored) {
    const auto where = in.take<Location>();
    const uint64_t* ids = in.ids(header.contained);
    if (!in.ok() || where.size != header.size) return malformed("a stored value");
    Status held = objects_.hold_contained(entry, ids, header.contained);
    if (!held.is_ok()) return held;
    return objects_.seal(entry, where, owner, header.flags);
  }
  const std::byte* bytes = header.size == 0 ? nullptr : in.bytes(header.size);
  const uint64_t* ids = in.ids(header.contained);
  if (!in.ok()) return malformed("a value");
  Status held = objects_.hold_contained(entry, ids, header.contained);
  if (!held.is_ok()) return held;
  objects_.table().set_inline(entry, bytes, header.size, header.flags);
  return Status();
}

Status SimNode::on_result(WorkerLink& link, ipc::Reader& in) {
  const auto result = in.take<ipc::ResultHeader>();
  WorkerLink::Outstanding* entry = link.find_outstanding(result.sequence);
  if (!in.ok() || entry == nullptr) return malformed("a result of a task that it does not have");
  Task* task = entry->task;
  host_.trace("node: result of task %lx from worker %u", task->header.task, link.worker.id.value);
  if (result.returns != task->header.returns) return malformed("a result of the wrong length");
  for (uint32_t i = 0; i < result.returns; ++i) {
    const auto header = in.take<ipc::ValueHeader>();
    if (return_entry(task, i)->ready()) return malformed("a value that is there already");
    Status set = set_value(return_entry(task, i), in, header, link.client);
    if (!set.is_ok()) return set;
  }
  const bool inlined = entry->inlined;
  link.remove_outstanding(entry);
  scheduler_.completed(link.worker, task, inlined, static_cast<Nanos>(result.duration),
                       coarse_now_);
  finish(task);
  return Status();
}

Status SimNode::on_submit(WorkerLink& link, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  const auto header = in.take<ipc::TaskHeader>();
  const uint64_t body = Task::body_size(header);
  if (!in.ok() || in.left() < body) return malformed("a task");
  const ObjectId id{header.task};
  if (client_of(id) != link.client) return malformed("a task with an id of another client");
  for (uint32_t i = 0; i < std::max<uint32_t>(1, header.returns); ++i) {
    if (objects_.find(return_of(id, i)) != nullptr) return malformed("a task id used twice");
  }
  Task* task = Task::make(header);
  task->header.attempt = 0;
  std::memcpy(task->body(), data + sizeof header, body);
  auto admitted = admit(task, &link);
  return admitted.is_ok() ? Status() : admitted.status().clone();
}

Status SimNode::on_put(WorkerLink& link, ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const ObjectId id{header.object};
  if (!in.ok() || client_of(id) != link.client || objects_.find(id) != nullptr) {
    return malformed("a put");
  }
  ObjectEntry* entry = objects_.add(id, 1);
  Status set = set_value(entry, in, header, link.client);
  if (!set.is_ok()) return set;
  link.held.insert(id.value, 1);
  return Status();
}

Status SimNode::on_acquire(WorkerLink& link, ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of references");
  for (uint64_t i = 0; i < list.count; ++i) {
    ObjectEntry* entry = objects_.find(ObjectId{ids[i]});
    if (entry == nullptr) return malformed("it took a reference to what is gone");
    if (link.held.find(ids[i]) != nullptr) return malformed("it took a reference twice");
    ++entry->refs;
    link.held.insert(ids[i], 1);
  }
  return Status();
}

Status SimNode::on_release(WorkerLink& link, ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of references");
  for (uint64_t i = 0; i < list.count; ++i) {
    if (!link.held.erase(ids[i])) return malformed("it gave up a reference that it does not hold");
    objects_.release(objects_.find(ObjectId{ids[i]}));
  }
  return Status();
}

Status SimNode::on_ask(WorkerLink& link, ipc::Reader& in, bool value) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of objects");
  for (uint64_t i = 0; i < list.count; ++i) {
    ObjectEntry* entry = objects_.find(ObjectId{ids[i]});
    if (entry == nullptr) continue;
    if (!entry->ready()) {
      entry->flags |= store::kWatched;
      watchers_[ids[i]].push_back({link.worker.id.value, value});
    } else if (value) {
      send_value(link, entry);
    } else {
      link.send_ids(RecordType::kReady, std::span(ids + i, 1));
      mark_dirty(link);
    }
  }
  return Status();
}

Status SimNode::on_blocked(WorkerLink& link, ipc::Reader& in, bool blocked) {
  const auto record = in.take<ipc::BlockedRecord>();
  const uint64_t* ids = in.ids(record.awaited);
  if (!in.ok()) return malformed("a note that it is blocked");
  if (blocked) {
    link.awaited.emplace_back(ids, ids + record.awaited);
    scheduler_.blocked(link.worker, record.can_inline != 0);
  } else {
    if (link.awaited.empty()) return malformed("it was not blocked");
    link.awaited.pop_back();
    scheduler_.unblocked(link.worker);
  }
  return Status();
}

Status SimNode::on_hand_back(WorkerLink& link, ipc::Reader& in) {
  const auto record = in.take<ipc::SequenceRecord>();
  WorkerLink::Outstanding* entry = link.find_outstanding(record.sequence);
  if (!in.ok() || entry == nullptr) return malformed("it handed back what it does not have");
  Task* task = entry->task;
  const bool inlined = entry->inlined;
  link.remove_outstanding(entry);
  host_.trace("node: task %lx handed back by worker %u", task->header.task, link.worker.id.value);
  scheduler_.handed_back(link.worker, task, inlined);
  return Status();
}

}  // namespace simulator

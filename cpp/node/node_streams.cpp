// node_streams: tasks that yield their items one by one: items as they come, consumers that take
// them, and the credit of the workers. stream.h tells how far a worker may go ahead.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

using ipc::RecordType;

constexpr uint64_t kMostBytes = 256 << 20;
constexpr uint64_t kTakesPerClockRead = 32;

const std::string& end_of_stream() {
  static const std::string value =
      encode_system_error(SystemErrorKind::kEndOfStream, "the stream has no more items");
  return value;
}

}  // namespace

// open_stream makes the stream of a task that is being admitted, and the object by which the
// consumer names it: when that one is freed, the consumer is gone.
void Node::open_stream(Task* task) {
  ObjectEntry* handle = objects_.add(stream_of(task->header.task), 1);
  objects_.table().set_inline(handle, nullptr, 0, ipc::kStream);
  auto stream = std::make_unique<Stream>();
  stream->task = task;
  stream->limit = task->stream_limit;
  stream->most_bytes = std::min(kMostBytes, objects_.registry().stats().budget / 4);
  stream->taken_at = coarse_now_ = now();
  streams_[handle->id.value] = std::move(stream);
}

Stream* Node::find_stream(ObjectId handle) {
  auto it = streams_.find(handle.value);
  return it == streams_.end() ? nullptr : it->second.get();
}

// begin_stream precedes the record of the task: an attempt has no credit yet.
void Node::begin_stream(WorkerLink& link, Task* task) {
  Stream* stream = find_stream(stream_of(task->header.task));
  const Nanos time = now();
  stream->granted = stream->received;
  Nanos held_back;
  if (const uint64_t upto = stream->credit(time, true, &held_back)) stream->granted = upto;
  send_credit(link, task->header.sequence, *stream);
}

void Node::send_credit(WorkerLink& link, uint64_t sequence, const Stream& stream) {
  const ipc::CreditRecord credit{sequence, stream.granted, stream.received};
  link.send(RecordType::kCredit, sizeof credit,
            [&](std::byte* to) { ipc::Writer(to).put(credit); });
  mark_dirty(link);
}

// grant gives the worker what it may have by now.
void Node::grant(Stream& stream, Nanos time, bool due) {
  if (stream.task == nullptr || stream.task->state != sched::TaskState::kAssigned) return;
  Nanos held_back;
  const uint64_t upto = stream.credit(time, due, &held_back);
  if (upto != 0) {
    WorkerLink& link = *link_of(*stream.task->worker);
    if (const WorkerLink::Outstanding* entry = link.find_task(stream.task)) {
      stream.granted = upto;
      send_credit(link, entry->sequence, stream);
    }
  }
  if (held_back < streams_due_) {
    streams_due_ = held_back;
    if (held_back < supervisor_until_) nudge_supervisor();
  }
}

// grant_due gives what was held back, and lets generators go on whose consumer has stopped.
void Node::grant_due() {
  const Nanos time = now();
  streams_due_ = INT64_MAX;
  for (const auto& [id, stream] : streams_) grant(*stream, time, true);
}

Status Node::on_yield(WorkerLink& link, ipc::Reader& in) {
  const auto yielded = in.take<ipc::YieldRecord>();
  const auto header = in.take<ipc::ValueHeader>();
  const WorkerLink::Outstanding* entry = link.find_outstanding(yielded.sequence);
  if (!in.ok() || entry == nullptr || (entry->task->header.flags & ipc::kStreaming) == 0) {
    return malformed("an item of a task that it does not have");
  }
  Stream& stream = *find_stream(stream_of(entry->task->header.task));
  if (yielded.index > stream.received) return malformed("an item out of order");
  const bool repeated = yielded.index < stream.received;
  const bool asked = !repeated && !stream.wanted.empty();
  ObjectEntry* item = asked ? stream.wanted.front() : objects_.table().add_apart(next_ids(1));
  if (!asked) item->refs = 1;
  Status set = set_value(item, in, header, link.client);
  if (!set.is_ok()) {
    if (!asked) objects_.table().erase(item);
    return set;
  }
  if (repeated) {
    objects_.release(item);
    return Status();
  }
  ++stream.received;
  stream.all_bytes += header.size;
  if (stream.dropped) {
    objects_.release(item);
  } else if (asked) {
    stream.wanted.pop_front();
    if (item->flags != 0) value_ready(item);
    objects_.release(item);
  } else {
    stream.ready.push_back(item);
    stream.bytes += header.size;
  }
  grant(stream, coarse_now_, false);
  return Status();
}

// next_item is the next item of the stream, under the id that the consumer wants; the end of the
// stream where there is none. It carries one reference for the consumer.
ObjectEntry* Node::next_item(Stream* stream, ObjectId id) {
  if (stream != nullptr && !stream->ready.empty()) {
    ObjectEntry* item = stream->ready.front();
    stream->ready.pop_front();
    stream->bytes -= store::ObjectTable::value_size(item);
    objects_.enter(item, id == kNoObject ? item->id : id);
    return item;
  }
  if (id == kNoObject) id = next_ids(1);
  if (stream != nullptr && stream->task != nullptr) {
    ObjectEntry* item = objects_.add(id, 2);
    item->producer = stream->task;
    stream->wanted.push_back(item);
    return item;
  }
  ObjectEntry* item = objects_.add(id, 1);
  const std::string& end = end_of_stream();
  objects_.table().set_inline(item, end.data(), end.size(), ipc::kError | ipc::kSystemError);
  return item;
}

// has_taken notes how many items the consumer has taken by now.
void Node::has_taken(Stream& stream, uint64_t taken) {
  if (taken <= stream.taken) return;
  stream.taken = taken;
  stream.taken_at = coarse_now_;
  grant(stream, coarse_now_, false);
}

ObjectEntry* Node::stream_next(ObjectEntry* handle, uint64_t taken) {
  MutexLock lock(mutex_);
  drain_releases();
  Stream* stream = find_stream(handle->id);
  if (stream != nullptr) {
    if (taken % kTakesPerClockRead == 0) coarse_now_ = now();
    has_taken(*stream, taken);
    // What has come meanwhile is taken in together, instead of by a wait for each item.
    if (stream->ready.empty() && stream->task != nullptr && !has_leader()) {
      drain();
      stream = find_stream(handle->id);
    }
  }
  ObjectEntry* item = next_item(stream, kNoObject);
  flush_links();
  return item;
}

Status Node::on_next(WorkerLink& link, ipc::Reader& in) {
  const auto next = in.take<ipc::NextRecord>();
  if (!in.ok() || link.held.find(next.stream) == nullptr || next.count > 1024) {
    return malformed("a request for items");
  }
  Stream* stream = find_stream(ObjectId{next.stream});
  if (stream != nullptr) has_taken(*stream, next.taken);
  for (uint32_t i = 0; i < next.count; ++i) {
    const ObjectId id{next.first + i};
    if (client_of(id) != link.client || objects_.find(id) != nullptr) {
      return malformed("a request for items under ids that cannot be");
    }
    ObjectEntry* item = next_item(stream, id);
    link.held.insert(id.value, 1);
    promise_value(link, item);
  }
  return Status();
}

// promise_value sends the value of an object to a worker that has asked for it, now or when it is there.
void Node::promise_value(WorkerLink& link, ObjectEntry* entry) {
  if (entry->ready() && !entry->presence.is_away()) {
    send_value(link, entry);
    return;
  }
  entry->flags |= store::kWatched;
  Watcher watcher;
  watcher.kind = Watcher::Kind::kWorkerValue;
  watcher.worker = link.worker.id.value;
  watchers_[entry->id.value].push_back(std::move(watcher));
  if (entry->ready()) spiller_.bring_back(entry, now());
}

// end_stream: the task has ended; nothing more comes.
void Node::end_stream(Task* task) {
  const ObjectId handle = stream_of(task->header.task);
  Stream* stream = find_stream(handle);
  stream->task = nullptr;
  drop_wanted(*stream);
  if (stream->dropped) streams_.erase(handle.value);
}

void Node::drop_wanted(Stream& stream) {
  for (ObjectEntry* item : std::exchange(stream.wanted, {})) {
    const uint8_t flags = item->flags;
    const std::string& end = end_of_stream();
    objects_.table().set_inline(item, end.data(), end.size(), ipc::kError | ipc::kSystemError);
    if (flags != 0 && !closed_) value_ready(item);  // at the end nobody is told singly
    objects_.release(item);
  }
}

// stream_freed: the consumer is gone. What it has not taken is freed; the task runs to its end.
void Node::stream_freed(ObjectId handle) {
  Stream* stream = find_stream(handle);
  if (stream == nullptr) return;
  stream->dropped = true;
  for (ObjectEntry* item : std::exchange(stream->ready, {})) objects_.release(item);
  drop_wanted(*stream);
  if (stream->task == nullptr) {
    streams_.erase(handle.value);
  } else {
    grant(*stream, now(), true);
  }
}

// close_streams lets go of all items when the runtime stops.
void Node::close_streams() {
  for (const auto& [id, stream] : streams_) {
    for (ObjectEntry* item : std::exchange(stream->ready, {})) objects_.release(item);
    drop_wanted(*stream);
  }
  streams_.clear();
}

}  // namespace bolide::node

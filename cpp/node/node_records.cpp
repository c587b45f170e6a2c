// node_records: what arrives through a worker's ring. Every handler checks what it reads before
// it changes anything; a record that cannot be is an error of that worker, which is then killed.
#include <signal.h>

#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"
#include "os/futex.h"
#include "os/process.h"

namespace bolide::node {
namespace {

using ipc::RecordType;

constexpr int kRecordsPerTurn = 1024;

}  // namespace

bool Node::drain_link(WorkerLink& link) {
  if (link.failed) return false;
  bool found = false;
  Status status;
  for (int i = 0; i < kRecordsPerTurn && status.is_ok(); ++i) {
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
    control->space_signal.store(control->space_signal.load(std::memory_order_relaxed) + 1,
                                std::memory_order_seq_cst);  // the node is its only writer
    os::futex_wake(&control->space_signal, 1);
  }
  if (link.has_overflow()) mark_dirty(link);
  if (!status.is_ok()) {
    link.failed = true;
    warnings_.push_back("bolide stopped a worker (pid " + std::to_string(link.pid) +
                        "): " + status.message());
    service_->push(0);
    if (link.pid > 0) os::kill_group(link.pid, SIGKILL);
  }
  return found;
}

Status Node::handle(WorkerLink& link, RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kResult:
      return on_result(link, in);
    case RecordType::kTrace:
      return on_trace(link, in);
    case RecordType::kYield:
      return on_yield(link, in);
    case RecordType::kNext:
      return on_next(link, in);
    case RecordType::kSubmit:
      return on_submit(link, data, size);
    case RecordType::kPut:
      return on_put(link, in);
    case RecordType::kAcquire:
      return on_acquire(link, in);
    case RecordType::kRelease:
      return on_release(link, in);
    case RecordType::kRecalled:
      return on_recalled(link, in);
    case RecordType::kSite:
      return on_site(link, in);
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
    case RecordType::kDefineClass:
      return on_define_class(link, in);
    case RecordType::kCancel:
      return on_cancel(link, in);
    case RecordType::kLog:
      return on_log(link, in);
    case RecordType::kJumbo:
      return on_jumbo(link, in);
    case RecordType::kActorExit:
      return on_actor_exit(link, in);
    case RecordType::kKillActor:
      return on_kill(link, in);
    case RecordType::kQuery:
      return on_query(link, in);
    case RecordType::kRemoveGroup:
      return on_remove_group(link, in);
    case RecordType::kFreeSpan: {
      const auto where = in.take<Location>();
      auto& spans = link.jumbo_spans;
      auto it = std::find_if(spans.begin(), spans.end(), [&](const Location& span) {
        return span.chunk == where.chunk && span.offset == where.offset;
      });
      if (it == spans.end()) return malformed("it freed a span that it was not sent");
      free_span(*it);
      spans.erase(it);
      return Status();
    }
    case RecordType::kHello: {
      const auto hello = in.take<ipc::HelloRecord>();
      if (link.hello) return malformed("a second greeting");
      // Often the template has told it already.
      if (!in.ok() || !WorkerLink::can_be_worker(hello.pid) ||
          (link.pid != 0 && link.pid != hello.pid)) {
        return malformed("a greeting of another process");
      }
      link.hello = true;
      link.pid = static_cast<pid_t>(hello.pid);
      deadlines_.erase(link.worker.id.value);
      link.origin->failed_starts = 0;
      scheduler_.worker_ready(link.worker, coarse_now_);
      return Status();
    }
    default:
      return malformed("its type is unknown");
  }
}

Status Node::set_value(ObjectEntry* entry, ipc::Reader& in, const ipc::ValueHeader& header,
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

Status Node::on_result(WorkerLink& link, ipc::Reader& in) {
  const auto result = in.take<ipc::ResultHeader>();
  WorkerLink::Outstanding* entry = link.find_outstanding(result.sequence);
  if (!in.ok() || entry == nullptr) return malformed("a result of a task that it does not have");
  Task* task = entry->task;
  if ((result.flags & ipc::kRetryable) != 0) return on_retryable(link, entry, result);
  if (result.returns != task->header.returns) return malformed("a result of the wrong length");
  for (uint32_t i = 0; i < result.returns; ++i) {
    const auto header = in.take<ipc::ValueHeader>();
    Status set = set_value(return_entry(task, i), in, header, link.client);
    if (!set.is_ok()) return set;
  }
  const bool inlined = entry->inlined;
  link.remove_outstanding(entry);
  take_arguments_back(link, task, true);
  if (link.actor != nullptr) {
    if (answered(link, task, result, false)) finish(task);
    return Status();
  }
  scheduler_.completed(link.worker, task, inlined, static_cast<Nanos>(result.duration),
                       coarse_now_);
  if ((result.flags & ipc::kLeaving) != 0) part_with(link);
  finish(task);
  return Status();
}

Status Node::on_submit(WorkerLink& link, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  const auto header = in.take<ipc::TaskHeader>();
  const uint64_t body = Task::body_size(header);
  if (!in.ok() || in.left() < body || header.returns > ipc::kMostReturns) return malformed("a task");
  const ObjectId id{header.task};
  const bool streaming = (header.flags & ipc::kStreaming) != 0;
  if (streaming && header.returns != 1) return malformed("a stream with several returns");
  const uint32_t ids = std::max<uint32_t>(1, header.returns + (streaming ? 1 : 0));
  if (client_of(id) != link.client) return malformed("a task with an id of another client");
  for (uint32_t i = 0; i < ids; ++i) {
    if (objects_.find(return_of(id, i)) != nullptr) return malformed("a task id used twice");
  }
  Task* task = Task::make(task_memory_, header);
  task->stream_limit = header.attempt;
  task->header.attempt = 0;
  task->header.flags &= ~static_cast<uint32_t>(ipc::kAfterInterrupt);
  std::memcpy(task->body(), data + sizeof header, body);
  bool unwanted = false;
  if (WorkerLink::Outstanding* caller = link.find_outstanding(header.sequence)) {
    task->parent = caller->task->header.task;
    unwanted = caller->task->recursive && (header.flags & ipc::kAfterInterrupt) == 0;
  }
  auto admitted = admit(task, &link, unwanted);
  if (admitted.is_ok()) return Status();
  // A stale handle of a function is the user's error, not the worker's.
  const std::string error =
      encode_system_error(SystemErrorKind::kRaySystem, admitted.status().message());
  fail_unbooked(header, &link, error);
  return Status();
}

Status Node::on_put(WorkerLink& link, ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const ObjectId id{header.object};
  if (!in.ok() || client_of(id) != link.client || objects_.find(id) != nullptr) {
    return malformed("a put");
  }
  ObjectEntry* entry = objects_.add(id, 1);
  Status set = set_value(entry, in, header, link.client);
  if (!set.is_ok()) {
    objects_.table().take_contained(entry);
    objects_.table().erase(entry);
    return set;
  }
  link.held.insert(id.value, kHeld);
  if (entry->holding == store::Holding::kStored) tell(link, entry);
  if (header.flags == 0) return Status();
  Status booked = book_value(entry, link.client);
  // Of a name that is taken the worker learns by asking who has it.
  return booked.code() == Code::kExists ? Status() : std::move(booked);
}

Status Node::on_acquire(WorkerLink& link, ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of references");
  for (uint64_t i = 0; i < list.count; ++i) {
    ObjectEntry* entry = objects_.find(ObjectId{ids[i]});
    if (entry == nullptr || link.held.find(ids[i]) != nullptr) {
      return malformed("it took a reference that cannot be");
    }
    ++entry->refs;
    link.held.insert(ids[i], kHeld);
  }
  return Status();
}

Status Node::on_release(WorkerLink& link, ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of references");
  for (uint64_t i = 0; i < list.count; ++i) {
    const uint32_t* held = link.held.find(ids[i]);
    if (held == nullptr) return malformed("it gave up a reference that it does not hold");
    ObjectEntry* entry = objects_.find(ObjectId{ids[i]});
    if ((*held & kTold) != 0) --entry->readers;
    link.held.erase(ids[i]);
    objects_.release(entry);
  }
  return Status();
}

// on_recalled: the worker has forgotten where these lie, so they may be moved.
Status Node::on_recalled(WorkerLink& link, ipc::Reader& in) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of objects");
  for (uint64_t i = 0; i < list.count; ++i) {
    uint32_t* held = link.held.find(ids[i]);
    if (held == nullptr) return malformed("it has forgotten what it does not hold");
    if ((*held & kTold) == 0) continue;
    *held &= ~static_cast<uint32_t>(kTold);
    --objects_.find(ObjectId{ids[i]})->readers;
  }
  return Status();
}

Status Node::on_ask(WorkerLink& link, ipc::Reader& in, bool value) {
  const auto list = in.take<ipc::ObjectList>();
  const uint64_t* ids = in.ids(list.count);
  if (!in.ok()) return malformed("a list of objects");
  for (uint64_t i = 0; i < list.count; ++i) {
    // A reference that was dropped again right after it was asked for may be gone; one whose
    // value was asked for is kept by the question.
    ObjectEntry* entry = objects_.find(ObjectId{ids[i]});
    if (value && link.held.find(ids[i]) == nullptr) {
      return malformed("it asked for what it does not hold");
    }
    if (entry == nullptr) continue;
    if (value) {
      promise_value(link, entry);
    } else if (!entry->ready()) {
      entry->flags |= store::kWatched;
      Watcher watcher;
      watcher.kind = Watcher::Kind::kWorkerReady;
      watcher.worker = link.worker.id.value;
      watchers_[ids[i]].push_back(std::move(watcher));
    } else {
      link.send_ids(RecordType::kReady, std::span(ids + i, 1));
      mark_dirty(link);
    }
  }
  return Status();
}

Status Node::on_blocked(WorkerLink& link, ipc::Reader& in, bool blocked) {
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

Status Node::on_hand_back(WorkerLink& link, ipc::Reader& in) {
  const auto record = in.take<ipc::SequenceRecord>();
  WorkerLink::Outstanding* entry = link.find_outstanding(record.sequence);
  if (!in.ok() || entry == nullptr) return malformed("it handed back a task that it does not have");
  Task* task = entry->task;
  const bool inlined = entry->inlined;
  if (link.actor != nullptr && (task->calls == nullptr || !task->cancelled)) {
    return malformed("it handed back its actor's constructor, or a call");
  }
  link.remove_outstanding(entry);
  take_arguments_back(link, task, false);
  if (task->calls != nullptr) {
    calls_.withdrawn(task);
    fail_cancelled(task);
    return Status();
  }
  scheduler_.handed_back(link.worker, task, inlined);
  if (task->cancelled) {
    scheduler_.forget(task);
    fail_cancelled(task);
  }
  return Status();
}

Status Node::on_log(WorkerLink& link, ipc::Reader& in) {
  const auto header = in.take<ipc::LogHeader>();
  const std::byte* text = in.bytes(header.bytes);
  if (!in.ok()) return malformed("a line of output");
  add_output(header.stream, link.pid,
             std::string_view(reinterpret_cast<const char*>(text), header.bytes));
  return Status();
}

Status Node::on_jumbo(WorkerLink& link, ipc::Reader& in) {
  const auto jumbo = in.take<ipc::JumboRecord>();
  const auto type = static_cast<RecordType>(jumbo.type);
  if (!in.ok() || type == RecordType::kJumbo || jumbo.size > jumbo.where.size) {
    return malformed("a large record");
  }
  const auto chunk = objects_.registry().info(jumbo.where.chunk);
  const std::byte* data =
      chunk.has_value() && chunk->owner == link.client ? resolve_locked(jumbo.where) : nullptr;
  if (data == nullptr) return malformed("a large record that lies nowhere");
  // The handler reads it in place, before its writer may use the span again. Its writer could
  // change it meanwhile, so what is read twice is copied first.
  const std::vector<std::byte> copy(data, data + jumbo.size);
  Status handled = handle(link, type, copy.data(), copy.size());
  mark_dirty(link);
  link.send(RecordType::kFreeSpan, sizeof jumbo.where,
            [&](std::byte* to) { ipc::Writer(to).put(jumbo.where); });
  return handled;
}

// ---- what the reference table asks for

void Node::function_freed(ObjectId function) {
  --functions_;
  for (const auto& [id, link] : links_) {
    if (link->functions.erase(function.value) == 0) continue;
    if (link->last_function == function.value) link->last_function = 0;
    link->send_ids(RecordType::kForget, std::span(&function.value, 1));
    mark_dirty(*link);
  }
}

}  // namespace bolide::node

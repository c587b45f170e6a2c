// worker_records: what arrives through a worker's ring.
#include <algorithm>

#include "node/worker_client.h"
#include "node/worker_push.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

}  // namespace

RecordType WorkerClient::unwrap(const ipc::Record& record, const std::byte** data,
                                uint64_t* size, Location* jumbo_at) {
  *data = record.payload;
  *size = record.size;
  auto type = static_cast<RecordType>(record.type);
  if (type != RecordType::kJumbo) return type;
  ipc::Reader in(record.payload, record.size);
  const auto jumbo = in.take<ipc::JumboRecord>();
  *data = views_.resolve(jumbo.where);
  if (!in.ok() || *data == nullptr || jumbo.size > jumbo.where.size) {
    give_up("bolide: a large record lies nowhere\n");
  }
  *size = jumbo.size;
  *jumbo_at = jumbo.where;
  return static_cast<RecordType>(jumbo.type);
}

bool WorkerClient::accepts(const ipc::TaskHeader& header) const {
  return task_waiter_ != nullptr && (!inline_only_ || (header.flags & ipc::kInline) != 0);
}

bool WorkerClient::handle_record(ipc::Record& record) {
  const std::byte* data;
  uint64_t size;
  Location jumbo_at{};
  const RecordType type = unwrap(record, &data, &size, &jumbo_at);
  if (type == RecordType::kTask) {
    ipc::Reader in(data, size);
    const auto header = in.take<ipc::TaskHeader>();
    if (accepts(header)) {
      task_at_head_.store(true, std::memory_order_release);  // partner: looks_empty
      task_waiter_->has_task = true;
      if (task_waiter_->sleeping) wake(*task_waiter_);
      return false;
    }
    if (is_actor_ || (header.flags & ipc::kActorCreation) != 0) {
      // It belongs to nobody else, and what lies behind it may be what a thread here waits for.
      stash_.emplace_back(data, data + size);
      if (loop_asleep_) loop_queue_->push(0);
      tasks_.pop();
      if (jumbo_at.size != 0) free_jumbo(jumbo_at);
      return true;
    }
    // The thread that could run it is busy or blocked.
    const bool mine = ipc::try_claim(tasks_.control(), record, header.sequence,
                                     ipc::Purpose::kHandBack);
    tasks_.pop();
    if (mine) {
      const ipc::SequenceRecord back{header.sequence};
      push(RecordType::kHandBack, sizeof back,
           [&](std::byte* to) { ipc::Writer(to).put(back); });
      publish(Urgency::kAlways);
    }
  } else {
    tasks_.pop();
    handle(type, data, size);
  }
  if (jumbo_at.size != 0) free_jumbo(jumbo_at);
  return true;
}

void WorkerClient::free_jumbo(const Location& where) {
  push(RecordType::kFreeSpan, sizeof where, [&](std::byte* to) { ipc::Writer(to).put(where); });
}

void WorkerClient::handle(RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kValue:
      on_value(in);
      break;
    case RecordType::kRecall:
      on_recall(in);
      break;
    case RecordType::kReady: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        ObjectEntry* entry = table_.find(ObjectId{ids[i]});
        if (entry == nullptr || entry->ready()) continue;
        entry->flags |= store::kKnownReady;
        if ((entry->flags & store::kAsked) == 0) value_ready(entry);
      }
      break;
    }
    case RecordType::kForget: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        functions_.erase(ids[i]);
        forgotten_.push_back(ids[i]);
      }
      if (idle_waiter_ != nullptr) notify(*idle_waiter_);  // what they captured must go now
      break;
    }
    case RecordType::kChunk:
      on_chunk(in);
      break;
    case RecordType::kChunkRefused: {
      const auto refusal = in.take<ipc::ChunkRefusal>();
      const std::byte* text = in.bytes(refusal.text_bytes);
      chunk_refused_ = Status(refusal.disk != 0 ? Code::kDiskFull : Code::kFull,
                              text == nullptr ? "the object store is full"
                                              : std::string(reinterpret_cast<const char*>(text),
                                                            refusal.text_bytes));
      refused_size_ = refusal.size;
      chunk_asked_ = false;
      for (Waiter* waiter : chunk_waiters_) notify(*waiter);
      break;
    }
    case RecordType::kChunkRetired:
      arena_.retire(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      return_chunks(arena_.take_ended());
      break;
    case RecordType::kChunkClosed:
      views_.drop(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      break;
    case RecordType::kFreeSpan:
      free_span(in.take<Location>());
      for (Waiter* waiter : chunk_waiters_) notify(*waiter);
      break;
    case RecordType::kCredit:
      on_credit(in);
      break;
    case RecordType::kDevices: {
      const auto list = in.take<ipc::DeviceList>();
      devices_.clear();
      for (uint64_t i = 0; in.ok() && i < list.count; ++i) {
        devices_.push_back(in.take<ipc::DeviceShare>());
      }
      new_devices_ = true;
      break;
    }
    case RecordType::kShutdown:
      shutdown_ = true;
      if (task_waiter_ != nullptr) notify(*task_waiter_);
      if (loop_asleep_) loop_queue_->push(0);
      break;
    default:
      give_up("bolide: a record of an unknown type\n");
  }
  if (!in.ok()) give_up("bolide: a record is too short\n");
}

void WorkerClient::on_value(ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const bool stored = header.kind == ipc::ValueKind::kStored;
  const Location where = stored ? in.take<Location>() : Location{};
  const bool failed = header.kind == ipc::ValueKind::kElsewhere;
  const uint64_t size = failed ? in.take<uint64_t>() : header.size;
  const std::byte* bytes = stored || size == 0 ? nullptr : in.bytes(size);
  if (!in.ok()) return;
  if ((header.flags & ipc::kFunction) != 0) {
    if (stored) bytes = header.size <= where.size ? views_.resolve(where) : nullptr;
    if (bytes == nullptr || failed) give_up("bolide: an exported function lies nowhere\n");
    functions_[header.object].assign(bytes, bytes + header.size);
    return;
  }
  ObjectEntry* entry = table_.find(ObjectId{header.object});
  if (entry == nullptr) give_up("bolide: a value came without a question\n");
  if (failed) {
    if (!entry->ready()) set_away(entry, header.size);
    if (is_awaited(entry)) {
      unfetchable_[entry->id.value].assign(reinterpret_cast<const char*>(bytes), size);
    }
  } else if (!entry->ready() && stored) {
    table_.set_stored(entry, where, header.flags);
  } else if (!entry->ready()) {
    table_.set_inline(entry, bytes, size, header.flags);
  } else if (entry->presence.is_away() && stored) {
    arrive(entry, where);
  }
  value_ready(entry);
  if ((entry->flags & store::kAsked) == 0) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kAsked);
  if (--entry->refs == 0) give_up_reference(entry);
}

void WorkerClient::value_ready(ObjectEntry* entry) {
  if ((entry->flags & store::kWatched) == 0) return;
  entry->flags = static_cast<uint8_t>(entry->flags & ~store::kWatched);
  if (auto node = watchers_.extract(entry->id.value)) {
    for (Waiter* waiter : node.mapped()) notify(*waiter);
  }
  if (queues_.empty()) return;
  if (auto node = queues_.extract(entry->id.value)) {
    for (const auto& [queue, token] : node.mapped()) queue->push(token);
    if (idle_waiter_ != nullptr) notify(*idle_waiter_);
  }
}

}  // namespace bolide::node

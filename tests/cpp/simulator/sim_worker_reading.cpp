// sim_worker_reading: claiming tasks and handling what else the node sends, as worker_loop.cpp.
#include "os/fd_passing.h"
#include "simulator/sim_worker.h"

namespace simulator {

using ipc::RecordType;
using ipc::Urgency;

bool SimWorker::accepts(const ipc::TaskHeader& header) const {
  if (frames_.empty()) return true;
  const auto& waiting = frames_.back().waiting;
  return waiting.has_value() && waiting->can_inline && waiting->declared &&
         (header.flags & ipc::kInline) != 0;
}

// read_one takes the next record, if there is one.
bool SimWorker::read_one() {
  ipc::Record record;
  const auto peek = tasks_.peek(record);
  if (peek == ipc::RingConsumer::Peek::kCorrupt) fail("the ring of worker %u is corrupt", id_);
  if (peek == ipc::RingConsumer::Peek::kEmpty) {
    release_space();
    return false;
  }
  const std::byte* data = record.payload;
  uint64_t size = record.size;
  auto type = static_cast<RecordType>(record.type);
  Location jumbo_at{};
  if (type == RecordType::kJumbo) {
    ipc::Reader in(data, size);
    const auto jumbo = in.take<ipc::JumboRecord>();
    data = views_.resolve(jumbo.where);
    if (!in.ok() || data == nullptr) fail("a large record for worker %u lies nowhere", id_);
    size = jumbo.size;
    jumbo_at = jumbo.where;
    type = static_cast<RecordType>(jumbo.type);
  }
  if (nap_ == Nap::kAnnounced) {
    tasks_.control()->consumer_waiting.store(0);
    nap_ = Nap::kAwake;
  }
  if (type == RecordType::kTask) {
    ipc::Reader in(data, size);
    begin_claim(record, in.take<ipc::TaskHeader>(), jumbo_at);
    return true;
  }
  tasks_.pop();
  handle(type, data, size);
  if (jumbo_at.size != 0) free_jumbo(jumbo_at);
  release_space();
  return true;
}

// begin_claim is the first half of try_claim: what the node does now comes between the two.
void SimWorker::begin_claim(const ipc::Record& record, const ipc::TaskHeader& header,
                            Location jumbo) {
  const ipc::Purpose purpose = accepts(header) ? ipc::Purpose::kRun : ipc::Purpose::kHandBack;
  tasks_.control()->claimed.store(header.sequence << 1 | static_cast<uint64_t>(purpose));
  claim_ = Claim{record, header, purpose, !frames_.empty(), jumbo};
}

void SimWorker::end_claim() {
  const Claim claim = *claim_;
  claim_.reset();
  const bool mine = ipc::try_claim(tasks_.control(), claim.record, claim.header.sequence,
                                   claim.purpose);
  if (mine && claim.purpose == ipc::Purpose::kRun) {
    take_task(claim);
    tasks_.pop();
    rung_ = false;
  } else {
    tasks_.pop();
    if (mine) {
      std::vector<std::byte> back(sizeof claim.header.sequence);
      std::memcpy(back.data(), &claim.header.sequence, back.size());
      push(RecordType::kHandBack, std::move(back), Urgency::kAlways);
      host_.trace("worker %u: hands back task %lx", id_, claim.header.task);
    } else {
      host_.trace("worker %u: task %lx was taken back", id_, claim.header.task);
    }
  }
  if (claim.jumbo.size != 0) free_jumbo(claim.jumbo);
  release_space();
}

void SimWorker::free_jumbo(const Location& where) {
  std::vector<std::byte> record(sizeof where);
  std::memcpy(record.data(), &where, sizeof where);
  push(RecordType::kFreeSpan, std::move(record));
}

void SimWorker::handle(RecordType type, const std::byte* data, uint64_t size) {
  ipc::Reader in(data, size);
  switch (type) {
    case RecordType::kValue:
      on_value(in);
      break;
    case RecordType::kReady: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; i < list.count; ++i) {
        const auto found = table_.find(ids[i]);
        if (found != table_.end()) found->second.known_ready = true;
      }
      break;
    }
    case RecordType::kForget: {
      const auto list = in.take<ipc::ObjectList>();
      const uint64_t* ids = in.ids(list.count);
      for (uint64_t i = 0; i < list.count; ++i) functions_.erase(ids[i]);
      break;
    }
    case RecordType::kChunk:
      on_chunk(in);
      break;
    case RecordType::kChunkRefused:
      chunk_asked_ = false;
      chunk_refused_ = true;
      break;
    case RecordType::kChunkClosed:
      views_.drop(ChunkId{in.take<ipc::ChunkNotice>().chunk});
      break;
    case RecordType::kFreeSpan:
      if (!arena_.free(in.take<Location>())) fail("worker %u was given back a strange span", id_);
      break;
    case RecordType::kShutdown:
      shutdown_ = true;
      break;
    default:
      fail("worker %u got a record of type %u", id_, static_cast<unsigned>(type));
  }
  if (!in.ok()) fail("a record for worker %u is too short", id_);
}

void SimWorker::on_value(ipc::Reader& in) {
  const auto header = in.take<ipc::ValueHeader>();
  const bool stored = header.kind == ipc::ValueKind::kStored;
  const Location where = stored ? in.take<Location>() : Location{};
  const std::byte* bytes = stored || header.size == 0 ? nullptr : in.bytes(header.size);
  if ((header.flags & ipc::kFunction) != 0) {
    if (!functions_.insert(header.object).second) fail("worker %u got a function twice", id_);
    return;
  }
  const auto found = table_.find(header.object);
  if (found == table_.end() || found->second.ready) return;  // dropped meanwhile
  Local& local = found->second;
  local.ready = true;
  local.flags = header.flags;
  if (stored) {
    local.where = where;
  } else {
    local.bytes.assign(bytes, bytes + header.size);
  }
}

void SimWorker::on_chunk(ipc::Reader& in) {
  const auto notice = in.take<ipc::ChunkNotice>();
  uint32_t chunk = 0;
  std::vector<os::Fd> fds;
  auto got = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&chunk, 1)), fds,
                                 false);
  if (!got.is_ok() || fds.size() != 1 || chunk != notice.chunk) {
    fail("worker %u did not get the descriptor of chunk %u", id_, notice.chunk);
  }
  if (notice.writable != 0) {
    if (!arena_.add_chunk(ChunkId{chunk}, fds[0], notice.size).is_ok()) fail("a chunk cannot be mapped");
    chunk_asked_ = false;
    chunk_refused_ = false;
  }
  if (!views_.add(ChunkId{chunk}, fds[0], notice.size).is_ok()) fail("a chunk cannot be viewed");
}

void SimWorker::release_space() {
  if (tasks_.unreleased() == 0) return;
  if (tasks_.has_data() && tasks_.unreleased() < tasks_.capacity() / 8) return;
  if (tasks_.release_space()) publish(Urgency::kWhenSleeping);
}

}  // namespace simulator

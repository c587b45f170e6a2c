// worker_results: what a worker says of its tasks: results, output, when they ran.
#include <algorithm>

#include "node/worker_client.h"
#include "node/worker_push.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

}  // namespace

void WorkerClient::begin_result(uint64_t sequence, uint32_t returns, uint32_t flags) {
  result_.resize(sizeof(ipc::ResultHeader));
  const ipc::ResultHeader header{sequence, 0, returns, flags};
  std::memcpy(result_.data(), &header, sizeof header);
}

std::byte* WorkerClient::grow_result(uint64_t size) {
  const size_t at = result_.size();
  result_.resize(at + size);
  return result_.data() + at;
}

void WorkerClient::add_inline(const void* data, uint64_t size,
                              std::span<const uint64_t> contained, uint8_t flags) {
  ipc::ValueHeader header{};
  header.size = size;
  header.contained = static_cast<uint32_t>(contained.size());
  header.kind = ipc::ValueKind::kInline;
  header.flags = flags;
  ipc::Writer out(grow_result(sizeof header + ipc::align8(size) + contained.size_bytes()));
  out.put(header);
  out.bytes(data, size);
  out.bytes(contained.data(), contained.size_bytes());
}

void WorkerClient::add_stored(const store::Slot& slot, std::span<const uint64_t> contained,
                              uint8_t flags) {
  ipc::ValueHeader header{};
  header.size = slot.where.size;
  header.contained = static_cast<uint32_t>(contained.size());
  header.kind = ipc::ValueKind::kStored;
  header.flags = flags;
  ipc::Writer out(grow_result(sizeof header + sizeof slot.where + contained.size_bytes()));
  out.put(header);
  out.put(slot.where);
  out.bytes(contained.data(), contained.size_bytes());
}

void WorkerClient::end_result(Nanos duration) {
  reinterpret_cast<ipc::ResultHeader*>(result_.data())->duration =
      static_cast<uint64_t>(duration);
  MutexLock lock(mutex_);
  push_sized(RecordType::kResult, result_.size(), lock,
             [&](std::byte* to) { std::memcpy(to, result_.data(), result_.size()); });
  end_running(reinterpret_cast<ipc::ResultHeader*>(result_.data())->sequence);
  flush_releases();
  publish(Urgency::kAlways);
  if (result_.capacity() > (1 << 20)) result_ = {};
}

// end_running: usually that on top has ended; in an actor that runs several calls, any.
void WorkerClient::end_running(uint64_t sequence) {
  if (!interrupted_.empty()) std::erase(interrupted_, sequence);
  if (!credit_watches_.empty()) end_credit_watches(sequence, UINT64_MAX);
  if (running_.back() == sequence) {
    running_.pop_back();
  } else {
    running_.erase(std::find(running_.begin(), running_.end(), sequence));
  }
}

void WorkerClient::trace(const ipc::TraceRecord& record, std::string_view name) {
  MutexLock lock(mutex_);
  push_sized(RecordType::kTrace, sizeof record + ipc::align8(name.size()), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(record);
               out.bytes(name.data(), name.size());
             });
}

void WorkerClient::note_site(ObjectEntry* first, uint32_t returns, std::string_view text) {
  MutexLock lock(mutex_);
  const ipc::SiteRecord record{first->id.value, returns, static_cast<uint32_t>(text.size())};
  push_sized(RecordType::kSite, sizeof record + ipc::align8(text.size()), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(record);
               out.bytes(text.data(), text.size());
             });
  publish(Urgency::kAlways);
}

void WorkerClient::write_output(uint32_t stream, std::string_view line) {
  MutexLock lock(mutex_);
  const ipc::LogHeader header{stream, static_cast<uint32_t>(line.size())};
  push_sized(RecordType::kLog, sizeof header + ipc::align8(line.size()), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(header);
               out.bytes(line.data(), line.size());
             });
  publish(Urgency::kWhenSleeping);  // it is to be seen although the task may take hours yet
}

}  // namespace bolide::node

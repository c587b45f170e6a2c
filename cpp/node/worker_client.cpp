// worker_client: what user code in a worker asks of the node. The stream of tasks is in
// worker_loop.cpp.
#include "node/worker_client.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "node/refusals.h"
#include "node/worker_push.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "os/memory.h"
#include "os/process.h"
#include "store/sizes.h"

namespace bolide::node {
namespace {

using ipc::RecordType;
using ipc::Urgency;

constexpr uint64_t kLargeObject = 1 << 20;

}  // namespace

Result<std::unique_ptr<WorkerClient>> WorkerClient::attach(Descriptors d) {
  auto link = os::Mapping::map(d.link, ipc::kLinkSize, os::Access::kReadWrite);
  if (!link.is_ok()) return link.status().clone();
  ipc::LinkHeader header;
  std::memcpy(&header, link->data(), sizeof header);
  std::byte* tasks = link->data() + ipc::kTaskRingOffset;
  std::byte* replies = link->data() + ipc::kReplyRingOffset;
  if (header.magic != ipc::kLinkMagic || header.version != ipc::kLinkVersion ||
      !ipc::valid_ring(tasks, ipc::kRingCapacity) ||
      !ipc::valid_ring(replies, ipc::kRingCapacity)) {
    return Status(Code::kCorrupt, "the link to the node is corrupt or of another version");
  }
  auto bell = os::Mapping::map(d.bell, sizeof(ipc::BellPage), os::Access::kRead);
  if (!bell.is_ok()) return bell.status().clone();

  std::unique_ptr<WorkerClient> client(new WorkerClient(header.spin_ns));
  client->header_ = header;
  client->session_ = header.session;
  client->inline_limit_ = header.inline_limit;
  client->link_memory_ = link.take();
  client->bell_memory_ = bell.take();
  client->socket_ = std::move(d.socket);
  client->events_[0] = std::move(d.waiter_event);
  client->events_[1] = std::move(d.supervisor_event);
  client->attention_event_ = std::move(d.attention_event);
  client->owner_ = std::move(d.owner);
  client->tasks_ = ipc::RingConsumer(tasks, ipc::kRingCapacity);
  client->replies_ = ipc::RingProducer(replies, ipc::kRingCapacity);
  client->bell_ =
      ipc::BellReader(reinterpret_cast<const ipc::BellPage*>(client->bell_memory_.data()));
  if (header.soft_fds != 0) {
    if (auto limit = os::fd_limit(); limit.is_ok()) {
      static_cast<void>(os::restore_fd_limit({header.soft_fds, limit->hard}));
    }
  }
  // A worker of which the node never learned, because the template died before it could tell, sees
  // that by the end of its socket: the node closes it when it gives a worker up.
  auto watch = os::EventWatch::create(client->owner_, client->socket_, client->attention_event_);
  if (!watch.is_ok()) return watch.status().clone();
  client->watch_ = watch.take();
  auto attendant = os::start_thread("bolide-owner", [raw = client.get()] { raw->attend(); });
  if (!attendant.is_ok()) return attendant.status().clone();
  client->attendant_ = attendant.take();

  MutexLock lock(client->mutex_);
  const ipc::HelloRecord hello{os::own_pid()};
  client->push(RecordType::kHello, sizeof hello,
               [&](std::byte* to) { ipc::Writer(to).put(hello); });
  client->publish(Urgency::kWhenSleeping);
  return client;
}

WorkerClient::~WorkerClient() { attendant_.abandon(); }

// attend is the life of the attendant, a thread that runs no Python: it waits for the end of the
// node and, when the node asks for attention, reads the ring while the main thread is in user
// code, so that memory need not wait for the end of a task.
void WorkerClient::attend() {
  while (watch_->wait() == os::EventWatch::Woken::kRung) {
    MutexLock lock(mutex_);
    if (!has_leader()) drain();  // a thread that leads reads by itself
  }
  // Nothing of this process outlives the node: neither it nor what its tasks have started.
  os::kill_group(os::own_pid(), SIGKILL);
  os::end_process(1);
}

ObjectId WorkerClient::next_ids(uint32_t count) {
  const ObjectId id = make_object_id(ClientId{header_.client}, next_counter_);
  next_counter_ += count;
  return id;
}

// ---- speaking

std::byte* WorkerClient::room(uint64_t size, uint16_t type) {
  for (;;) {
    if (std::byte* to = replies_.reserve(size, type)) return to;
    ipc::RingControl* control = replies_.control();
    const uint32_t signal = control->space_signal.load(std::memory_order_seq_cst);
    control->producer_waiting.store(1, std::memory_order_seq_cst);  // partner: release_space
    std::byte* to = replies_.reserve(size, type);
    if (to == nullptr) {
      publish(Urgency::kWhenSleeping);
      os::futex_wait(&control->space_signal, signal, 100 * kMillisecond);
    }
    control->producer_waiting.store(0, std::memory_order_seq_cst);
    if (to != nullptr) return to;
  }
}

void WorkerClient::publish(Urgency moment) {
  if (replies_.unpublished()) replies_.publish();
  const auto answer = bell_.ask(moment);
  if (!answer.ring) return;
  const uint64_t one = 1;
  const int fd = events_[static_cast<size_t>(answer.bell)].get();
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void WorkerClient::push_ids(RecordType type, std::span<const uint64_t> ids) {
  constexpr size_t kMost = 1024;
  for (size_t at = 0; at < ids.size(); at += kMost) {
    const auto part = ids.subspan(at, std::min(kMost, ids.size() - at));
    push(type, sizeof(ipc::ObjectList) + part.size_bytes(), [&](std::byte* to) {
      ipc::Writer out(to);
      out.put(ipc::ObjectList{part.size()});
      out.bytes(part.data(), part.size_bytes());
    });
  }
}

void WorkerClient::flush_releases() {
  if (!has_released_.load(std::memory_order_acquire)) return;  // partner: release
  std::vector<ObjectEntry*> released;
  {
    MutexLock lock(release_mutex_);
    released.swap(released_);
    has_released_.store(false, std::memory_order_relaxed);  // written under release_mutex_
  }
  std::vector<uint64_t> gone;
  for (ObjectEntry* entry : released) {
    if (--entry->refs > 0) continue;
    gone.push_back(entry->id.value);
    if ((entry->value_flags & ipc::kStream) != 0) {
      // The node drops what it has of the stream; this is what was asked for and not taken.
      for (ObjectEntry* item : streams_[entry->id.value].items) {
        if (--item->refs > 0) continue;  // until the answer is read
        gone.push_back(item->id.value);
        forget(item);
      }
      streams_.erase(entry->id.value);
    }
    forget(entry);
  }
  push_ids(RecordType::kRelease, gone);
}

// ---- tasks and objects

Result<ObjectEntry*> WorkerClient::submit(const SubmitRequest& request) {
  ipc::TaskHeader header{};
  header.function = request.function;
  header.scheduling_class = request.scheduling_class;
  header.dependencies = request.dependency_count;
  header.contained = request.contained_count;
  header.argument_bytes = request.argument_bytes;
  header.name_bytes = request.name_bytes;
  header.returns = request.returns;
  header.max_retries = request.max_retries;
  header.flags = request.flags;
  const uint64_t size = sizeof header + (uint64_t{header.dependencies} + header.contained) * 8 +
                        ipc::align8(header.argument_bytes) + ipc::align8(header.name_bytes);
  MutexLock lock(mutex_);
  flush_releases();
  const bool streaming = (request.flags & ipc::kStreaming) != 0;
  const ObjectId id = next_ids(std::max<uint32_t>(1, request.returns + (streaming ? 1 : 0)));
  if (streaming) header.attempt = request.stream_limit;
  header.task = id.value;
  header.sequence = request.caller;
  if (request.caller == UINT64_MAX) header.sequence = running_.empty() ? 0 : running_.back();
  if (!interrupted_.empty() && std::find(interrupted_.begin(), interrupted_.end(),
                                         header.sequence) != interrupted_.end()) {
    header.flags |= ipc::kAfterInterrupt;
  }
  push_sized(RecordType::kSubmit, size, lock, [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(header);
    out.bytes(request.dependencies, request.dependency_count * sizeof(uint64_t));
    out.bytes(request.contained, request.contained_count * sizeof(uint64_t));
    out.bytes(request.arguments, request.argument_bytes);
    out.bytes(request.name, request.name_bytes);
  });
  ObjectEntry* first = nullptr;
  for (uint32_t i = 0; i < request.returns; ++i) {
    ObjectEntry* entry = table_.add(return_of(id, i));
    entry->refs = 1;
    if (i == 0) first = entry;
  }
  if (streaming) open_stream(stream_of(id.value), request.stream_limit);
  publish(Urgency::kAlways);
  return first;
}

void WorkerClient::cancel(ObjectEntry* entry, bool force, bool recursive) {
  MutexLock lock(mutex_);
  flush_releases();
  const ipc::CancelRecord record{entry->id.value, force ? 1u : 0u, recursive ? 1u : 0u};
  push(RecordType::kCancel, sizeof record,
       [&](std::byte* to) { ipc::Writer(to).put(record); });
  publish(Urgency::kAlways);
}

Status WorkerClient::define_class(uint64_t key, Quantities need, const Quantities* kept,
                                  const EnvironmentName& environment, GroupPlace place) {
  std::vector<std::pair<std::string, int64_t>> entries(need.begin(), need.end());
  if (kept != nullptr) entries.insert(entries.end(), kept->begin(), kept->end());
  const std::string_view description = environment.description;
  const ipc::ClassHeader header{
      key,
      environment.key,
      place.group,
      place.bundle,
      static_cast<uint32_t>(description.size()),
      static_cast<uint32_t>(need.size()),
      kept == nullptr ? ipc::kPooled : static_cast<uint32_t>(kept->size())};
  uint64_t size = sizeof header + ipc::align8(description.size());
  for (const auto& [name, amount] : entries) {
    size += sizeof(ipc::ResourceEntry) + ipc::align8(name.size());
  }
  MutexLock lock(mutex_);
  push_sized(RecordType::kDefineClass, size, lock, [&](std::byte* to) {
    ipc::Writer out(to);
    out.put(header);
    out.bytes(description.data(), description.size());
    for (const auto& [name, amount] : entries) {
      out.put(ipc::ResourceEntry{amount, static_cast<uint32_t>(name.size()), 0});
      out.bytes(name.data(), name.size());
    }
  });
  return Status();
}

Result<ObjectEntry*> WorkerClient::put_inline(const void* data, uint64_t size,
                                              std::span<const uint64_t> contained,
                                              uint8_t flags) {
  MutexLock lock(mutex_);
  flush_releases();
  ObjectEntry* entry = table_.add(next_ids(1));
  entry->refs = 1;
  table_.set_inline(entry, data, size, flags);
  ipc::ValueHeader header{};
  header.object = entry->id.value;
  header.size = size;
  header.contained = static_cast<uint32_t>(contained.size());
  header.kind = ipc::ValueKind::kInline;
  header.flags = flags;
  push_sized(RecordType::kPut, sizeof header + ipc::align8(size) + contained.size_bytes(), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(header);
               out.bytes(data, size);
               out.bytes(contained.data(), contained.size_bytes());
             });
  publish(Urgency::kAlways);
  return entry;
}

Result<ObjectEntry*> WorkerClient::put_stored(const store::Slot& slot,
                                              std::span<const uint64_t> contained, uint8_t flags,
                                              bool pinned) {
  MutexLock lock(mutex_);
  flush_releases();
  ObjectEntry* entry = table_.add(next_ids(1));
  entry->refs = 1;
  table_.set_stored(entry, slot.where, flags);
  if (pinned) entry->presence.pin();
  ipc::ValueHeader header{};
  header.object = entry->id.value;
  header.size = slot.where.size;
  header.contained = static_cast<uint32_t>(contained.size());
  header.kind = ipc::ValueKind::kStored;
  header.flags = flags;
  push_sized(RecordType::kPut, sizeof header + sizeof slot.where + contained.size_bytes(), lock,
             [&](std::byte* to) {
               ipc::Writer out(to);
               out.put(header);
               out.put(slot.where);
               out.bytes(contained.data(), contained.size_bytes());
             });
  publish(Urgency::kAlways);
  return entry;
}

// ---- references

ObjectEntry* WorkerClient::acquire(ObjectId id) {
  MutexLock lock(mutex_);
  ObjectEntry* entry = table_.find(id);
  if (entry == nullptr) {
    flush_releases();
    entry = table_.add(id);
    push_ids(RecordType::kAcquire, std::span(&id.value, 1));
  }
  ++entry->refs;
  return entry;
}

ObjectEntry* WorkerClient::acquire_known(ObjectId id) {
  MutexLock lock(mutex_);
  ObjectEntry* entry = table_.find(id);
  if (entry != nullptr) ++entry->refs;
  return entry;
}

ObjectEntry* WorkerClient::find(ObjectId id) {
  MutexLock lock(mutex_);
  return table_.find(id);
}

void WorkerClient::add_reference(ObjectEntry* entry) {
  MutexLock lock(mutex_);
  ++entry->refs;
}

void WorkerClient::release(ObjectEntry* entry) {
  const bool large = entry->ready() && entry->holding == store::Holding::kStored &&
                     entry->where.size >= kLargeObject;
  {
    MutexLock lock(release_mutex_);
    released_.push_back(entry);
    has_released_.store(true, std::memory_order_release);  // partner: flush_releases
  }
  if (!large) return;  // the next message takes it along
  MutexLock lock(mutex_);
  flush_releases();
  publish(Urgency::kAlways);
}

}  // namespace bolide::node

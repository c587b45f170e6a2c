// node_telling: what the node tells about itself while it runs: output, warnings, statistics,
// resources, and what tasks were run when.
#include "node/node.h"

namespace bolide::node {
namespace {

constexpr size_t kMostEvents = 1'000'000;  // the oldest go

void append(std::vector<std::byte>* out, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out->insert(out->end(), bytes, bytes + size);
}

void append_name(std::vector<std::byte>* out, const std::string& name) {
  const auto length = static_cast<uint32_t>(name.size());
  append(out, &length, sizeof length);
  append(out, name.data(), name.size());
}

double quantity(sched::Amount amount) { return static_cast<double>(amount) / sched::kUnit; }

void append_amount(std::vector<std::byte>* out, double amount) {
  append(out, &amount, sizeof amount);
}

}  // namespace

Node::Resources Node::resources() {
  MutexLock lock(mutex_);
  return resources_locked();
}

Node::Resources Node::resources_locked() const {
  Resources found;
  const sched::Ledger& ledger = scheduler_.ledger();
  for (uint32_t i = 0; i < ledger.kinds(); ++i) {
    if (ledger.total(i) == 0) continue;
    found.emplace_back(ledger.name(i),
                       std::pair(quantity(ledger.total(i)), quantity(ledger.free(i))));
  }
  return found;
}

void Node::tell_resources(std::vector<std::byte>* out) const {
  for (const auto& [name, amounts] : resources_locked()) {
    append_name(out, name);
    append_amount(out, amounts.first);
    append_amount(out, amounts.second);
  }
}

// tell_assigned: what the worker of that client holds now. The driver holds nothing.
void Node::tell_assigned(ClientId client, std::vector<std::byte>* out) const {
  const WorkerLink* link = link_of(client.value - 1);
  if (link == nullptr || link->worker.cls == nullptr) return;
  const sched::SchedulingClass& cls = *link->worker.cls;
  for (const sched::Quantity& q : link->worker.settled ? cls.kept : cls.need) {
    append_name(out, scheduler_.ledger().name(q.resource));
    append_amount(out, quantity(q.amount));
  }
}

Status Node::on_trace(WorkerLink& link, ipc::Reader& in) {
  const auto trace = in.take<ipc::TraceRecord>();
  const std::byte* name = in.bytes(trace.bytes);
  if (!in.ok()) return Status(Code::kCorrupt, "a worker sent a malformed record: an event");
  if (events_.size() == kMostEvents) events_.pop_front();
  events_.push_back({trace.task, static_cast<Nanos>(trace.began), static_cast<Nanos>(trace.ended),
                     link.pid,
                     std::string(reinterpret_cast<const char*>(name), trace.bytes)});
  return Status();
}

std::vector<TraceEvent> Node::trace_events() {
  MutexLock lock(mutex_);
  return {events_.begin(), events_.end()};
}

std::vector<OutputLine> Node::take_output() {
  MutexLock lock(mutex_);
  std::vector<OutputLine> lines(std::make_move_iterator(output_.begin()),
                                std::make_move_iterator(output_.end()));
  output_.clear();
  return lines;
}

void Node::output_printed() {
  MutexLock lock(mutex_);
  if (output_.empty()) {
    has_output_.store(false, std::memory_order_release);
  } else if (service_ != nullptr) {
    service_->push(0);  // more has come meanwhile
  }
}

std::vector<std::string> Node::take_warnings() {
  MutexLock lock(mutex_);
  return std::exchange(warnings_, {});
}

NodeStats Node::stats() {
  MutexLock lock(mutex_);
  if (!closed_) {
    drain_releases();
    flush_links();
  }
  NodeStats stats{};
  stats.objects = objects_.table().size();
  stats.heap_bytes = objects_.table().heap_bytes();
  stats.store = objects_.registry().stats();
  stats.spilled_objects = objects_.spilled_objects();
  stats.spilled = objects_.spilled_bytes();
  stats.written = spiller_.bytes_written();
  stats.read = spiller_.bytes_read();
  stats.tasks = tasks_;
  stats.ready = scheduler_.ready();
  stats.workers = scheduler_.alive() + scheduler_.dedicated() + scheduler_.starting();
  stats.idle_workers = scheduler_.idle();
  stats.waiting_workers = scheduler_.waiting_workers();
  stats.started_workers = started_workers_;
  stats.retries = retries_;
  stats.submitted = submitted_;
  stats.completed = completed_;
  stats.functions = functions_;
  for (const auto& [id, actor] : actors_) stats.actors += actor->dead() ? 0 : 1;
  return stats;
}

std::vector<int> Node::worker_pids() {
  MutexLock lock(mutex_);
  std::vector<int> pids;
  for (const auto& [id, link] : links_) {
    if (link->hello) pids.push_back(link->pid);
  }
  return pids;
}

int Node::template_pid() {
  MutexLock lock(mutex_);
  const Template* origin = environments_.front()->origin;
  return origin == nullptr ? -1 : origin->link.pid();
}

uint32_t Node::references(ObjectId id) {
  MutexLock lock(mutex_);
  drain_releases();
  ObjectEntry* entry = objects_.find(id);
  return entry == nullptr ? 0 : entry->refs;
}

bool Node::audit() {
  MutexLock lock(mutex_);
  std::vector<sched::Worker*> workers;
  for (const auto& [id, link] : links_) workers.push_back(&link->worker);
  return scheduler_.audit(workers) && objects_.registry().is_valid() && arena_.is_valid();
}

}  // namespace bolide::node

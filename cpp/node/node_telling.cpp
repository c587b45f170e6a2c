// node_telling: what the node tells about itself while it runs: resources, and what tasks were run
// when. Statistics and pids are in node.cpp.
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

}  // namespace bolide::node

#include "simulator/inspector.h"

#include <algorithm>

namespace bolide::node {

using simulator::fail;
using simulator::Oracle;
using simulator::SimWorker;

void Inspector::check_step() {
  if (node_.closed_) return;  // what was going on is left as it is
  std::vector<sched::Worker*> workers;
  for (const auto& [id, link] : node_.links_) {
    const sched::Worker& worker = link->worker;
    workers.push_back(&link->worker);
    if (worker.outstanding != link->outstanding.size() &&
        worker.state != sched::WorkerState::kGone) {
      fail("worker %u has %zu tasks, the scheduler thinks %u", id, link->outstanding.size(),
           worker.outstanding);
    }
    for (size_t i = 1; i < link->outstanding.size(); ++i) {
      if (link->outstanding[i - 1].sequence >= link->outstanding[i].sequence) {
        fail("the tasks of worker %u are out of order", id);
      }
    }
    for (const ipc::RingControl* ring : {link->tasks.control(), link->replies.control()}) {
      const uint64_t head = ring->head.load();
      const uint64_t tail = ring->tail.load();
      if (head > tail || tail - head > ring->capacity) fail("a ring of worker %u is broken", id);
    }
    if ((link->tasks.control()->verdict.load() & 1) != 0) fail("a take-back was left undecided");
    if (link->failed) fail("worker %u has sent a malformed record", id);
  }
  if (!node_.scheduler_.audit(workers)) fail("the scheduler's audit failed");
  if (!node_.settled_.empty()) fail("tasks whose dependencies have come were left alone");
}

void Inspector::check_quiet(const std::vector<SimWorker*>& workers, Nanos next) {
  if (node_.closed_) return;
  // The node may stay silent for a moment after a lead (Node::lead_ends), and after a thread has
  // submitted (Node::supervise), if it then looks by itself.
  const bool silent = (node_.bell_urgency_ == ipc::Urgency::kAwake &&
                       next <= machine_.time() + 2 * Node::kStayAwake) ||
                      next <= node_.submit_drained_ + 2 * kMillisecond;
  const bool urgent = node_.bell_urgency_ == ipc::Urgency::kAlways;
  for (SimWorker* worker : workers) {
    const bool sleeps = machine_.asleep(worker->process());
    const WorkerClient& client = worker->client();
    const bool reads = worker->process().main->word == &client.tasks_.control()->data_signal;
    if (sleeps && reads && client.tasks_.has_data() && !client.task_at_head_.load()) {
      fail("worker %u sleeps over an unread record", worker->id());
    }
    const ipc::RingControl* replies = client.replies_.control();
    const bool wants_room = worker->process().main->word == &replies->space_signal;
    if (sleeps && wants_room && replies->head.load() == replies->tail.load()) {
      fail("worker %u sleeps for want of room that is there", worker->id());
    }
    WorkerLink* link = node_.link_of(worker->id());
    if (link == nullptr || link->looks_empty() || silent) continue;
    if (urgent) fail("somebody waits, but a record of worker %u is unread", worker->id());
    if (sleeps) fail("the node sleeps over an unread record of worker %u", worker->id());
  }
}

bool Inspector::is_idle() {
  if (!node_.mover_.is_idle() || !node_.spiller_.is_idle()) return false;
  return node_.tasks_ == 0 && node_.scheduler_.starting() == 0 && node_.looks_empty() &&
         node_.dirty_.empty() &&
         std::all_of(node_.links_.begin(), node_.links_.end(), [](const auto& link) {
           return !link.second->tasks.control() || link.second->tasks.control()->head.load() ==
                                                       link.second->tasks.control()->tail.load();
         });
}

void Inspector::check_idle(const std::vector<SimWorker*>& workers) {
  check_step();
  Objects& objects = node_.objects_;
  if (node_.tasks_ != 0) fail("%lu tasks are left", node_.tasks_);
  if (node_.submitted_ != node_.completed_) {
    fail("%lu tasks came, %lu ended", node_.submitted_, node_.completed_);
  }
  if (!node_.scheduler_.ledger().balanced()) fail("the ledger of an idle node is not balanced");
  if (node_.scheduler_.ready() != 0 || node_.scheduler_.behind() != 0) {
    fail("an idle node has ready tasks");
  }
  if (!node_.dependents_.empty()) fail("an idle node has dependents");
  if (!node_.watchers_.empty() || node_.waiting_threads_ != 0) fail("somebody waits still");
  if (!objects.registry().is_valid() || !node_.arena_.is_valid()) {
    fail("the store's books are wrong");
  }
  // Invariant 1 of objects.h, counted anew; and who may know where values lie.
  std::unordered_map<uint64_t, uint32_t> refs;
  std::unordered_map<uint64_t, uint32_t> readers;
  for (const auto& [id, link] : node_.links_) {
    link->held.for_each([&](uint64_t object, uint32_t held) {
      ++refs[object];
      if ((held & kTold) != 0) ++readers[object];
    });
  }
  objects.table().for_each([&](ObjectEntry* entry) {
    if (const auto* inner = objects.table().contained(entry)) {
      for (ObjectId id : *inner) ++refs[id.value];
    }
  });
  objects.table().for_each([&](ObjectEntry* entry) {
    if (entry->refs != refs[entry->id.value]) {
      fail("object %lx has %u references, %u are known", entry->id.value, entry->refs,
           refs[entry->id.value]);
    }
    if (entry->readers != readers[entry->id.value]) {
      fail("object %lx has %u readers, %u are known", entry->id.value, entry->readers,
           readers[entry->id.value]);
    }
    if (entry->presence.is_pinned()) fail("object %lx is pinned still", entry->id.value);
    if (!entry->ready()) fail("object %lx is pending on an idle node", entry->id.value);
  });
  for (SimWorker* worker : workers) {
    WorkerLink* link = node_.link_of(worker->id());
    if (link == nullptr) continue;
    size_t held = 0;
    link->held.for_each([&](uint64_t object, uint32_t flags) {
      ++held;
      const ObjectEntry* there = worker->client().table_.find(ObjectId{object});
      if (there == nullptr) fail("the node thinks that worker %u holds %lx", worker->id(), object);
      if (!there->ready() || there->holding != store::Holding::kStored ||
          there->presence.is_away()) {
        return;
      }
      const ObjectEntry* here = objects.find(ObjectId{object});
      if ((flags & kTold) == 0 || there->where.chunk != here->where.chunk ||
          there->where.offset != here->where.offset) {
        fail("worker %u knows a place of %lx that the node does not mean", worker->id(), object);
      }
    });
    if (held != worker->client().table_.size()) {
      fail("worker %u holds %zu objects, the node thinks %zu", worker->id(),
           worker->client().table_.size(), held);
    }
  }
}

void Inspector::check_end() {
  check_idle({});
  Objects& objects = node_.objects_;
  if (!node_.links_.empty()) fail("a worker is left");
  if (objects.table().size() != 0) fail("%zu objects are left", objects.table().size());
  if (objects.table().heap_bytes() != 0) fail("heap bytes are left");
  if (objects.registry().stats().live != 0) fail("live bytes are left in the store");
  if (node_.arena_.stats().used != 0) fail("the driver's arena has slots in use");
  if (objects.registry().stats().chunks != node_.arena_.stats().chunks) fail("a chunk is left");
  if (node_.functions_ != 0) fail("functions are left");
  if (node_.scheduler_.alive() != 0) fail("the scheduler counts workers");
  for (const auto& [id, list] : node_.watchers_) {
    if (!list.empty()) fail("object %lx is watched still", id);
  }
}

// ---- a worker's death

// result_in_ring: the result lies in the ring for the node to see.
bool Inspector::result_in_ring(WorkerClient& client, uint64_t sequence) {
  const ipc::RingControl* control = client.replies_.control();
  const auto* data = reinterpret_cast<const std::byte*>(control) + sizeof(ipc::RingControl);
  const uint64_t tail = control->tail.load();
  for (uint64_t at = control->head.load(); at < tail;) {
    const std::byte* record = data + (at & (control->capacity - 1));
    ipc::RecordHeader header;
    std::memcpy(&header, record, sizeof header);
    const std::byte* payload = record + sizeof header;
    auto type = static_cast<ipc::RecordType>(header.type);
    if (type == ipc::RecordType::kJumbo) {
      ipc::JumboRecord jumbo;
      std::memcpy(&jumbo, payload, sizeof jumbo);
      payload = client.arena_.writable(jumbo.where);
      type = static_cast<ipc::RecordType>(jumbo.type);
    }
    ipc::ResultHeader result;
    if (type == ipc::RecordType::kResult) {
      std::memcpy(&result, payload, sizeof result);
      if (result.sequence == sequence) return true;
    }
    at += header.size;
  }
  return false;
}

void Inspector::account_death(SimWorker& worker, Oracle& oracle) {
  WorkerLink* link = node_.link_of(worker.id());
  if (link == nullptr) return;
  WorkerClient& client = worker.client();
  for (const auto& running : worker.running()) {
    if (running.fails) continue;  // counted already: it costs an attempt in either case
    // What is neither in the ring nor with the node has been read by the node.
    const bool there = link->find_outstanding(running.sequence) != nullptr;
    if (!there || result_in_ring(client, running.sequence)) {
      oracle.visible(running.key);
    } else {
      oracle.died(running.key, true);
    }
  }
  // A task that it has claimed but not begun counts, unless the node has taken it back.
  const ipc::RingControl* control = client.tasks_.control();
  const uint64_t word = control->claimed.load();
  if ((word & 1) != 0 || word >> 1 <= worker.newest()) return;
  const auto* entry = link->find_outstanding(word >> 1);
  if (entry == nullptr) return;
  simulator::Arguments given;
  const std::byte* arguments =
      entry->task->body() +
      (uint64_t{entry->task->header.dependencies} + entry->task->header.contained) * 8;
  std::memcpy(&given, arguments, sizeof given);
  const bool undecided = (control->verdict.load() & 1) != 0;
  oracle.died(given.key, !undecided);
}

std::string Inspector::describe() {
  std::string text = std::to_string(node_.tasks_) + " tasks, " +
                     std::to_string(node_.scheduler_.ready()) + " ready, " +
                     std::to_string(node_.dependents_.size()) + " objects with dependents, bell " +
                     std::to_string(static_cast<int>(node_.bell_urgency_)) + "\n";
  for (const auto& [id, link] : node_.links_) {
    const sched::Worker& w = link->worker;
    text += "  worker " + std::to_string(id) + ": state " +
            std::to_string(static_cast<int>(w.state)) + ", class " +
            (w.cls == nullptr ? "-" : std::to_string(w.cls->key)) + ", " +
            std::to_string(w.outstanding) + " sent, blocked " + std::to_string(w.blocked) +
            ", inlined " + std::to_string(w.inlined) + ", depth " + std::to_string(w.depth) +
            (link->hello ? "" : ", no hello") + (link->has_overflow() ? ", overflow" : "") +
            (link->looks_empty() ? "" : ", unread records") + "\n";
  }
  return text;
}

}  // namespace bolide::node

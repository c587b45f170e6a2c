// sim_node_checks: what must hold between any two steps, on an idle node, and at the end.
#include "simulator/oracle.h"
#include "simulator/sim_node.h"

namespace simulator {

void SimNode::check() {
  std::vector<sched::Worker*> workers;
  for (const auto& [id, link] : links_) {
    workers.push_back(&link->worker);
    if (link->worker.outstanding != link->outstanding.size() &&
        link->worker.state != sched::WorkerState::kGone) {
      fail("worker %u has %zu tasks, the scheduler thinks %u", id, link->outstanding.size(),
           link->worker.outstanding);
    }
    for (size_t i = 1; i < link->outstanding.size(); ++i) {
      if (link->outstanding[i - 1].sequence >= link->outstanding[i].sequence) {
        fail("the tasks of worker %u are out of order", id);
      }
    }
    for (const ipc::RingControl* ring : {link->tasks.control(), link->replies.control()}) {
      const uint64_t head = ring->head.load();
      const uint64_t tail = ring->tail.load();
      if (head > tail || tail - head > ipc::kRingCapacity) fail("a ring of worker %u is broken", id);
    }
    if ((link->tasks.control()->verdict.load() & 1) != 0) fail("a take-back was left undecided");
  }
  if (!scheduler_.audit(workers)) fail("the scheduler's audit failed");
  if (!settled_.empty()) fail("tasks whose dependencies have come were left alone");
}

void SimNode::check_idle() {
  check();
  if (tasks_ != 0) fail("%lu tasks are left", tasks_);
  if (submitted_ != completed_) fail("%lu tasks came, %lu ended", submitted_, completed_);
  if (!scheduler_.ledger().balanced()) fail("the ledger of an idle node is not balanced");
  if (scheduler_.ready() != 0 || scheduler_.behind() != 0) fail("an idle node has ready tasks");
  if (!dependents_.empty()) fail("an idle node has dependents");
  if (!objects_.registry().is_valid() || !arena_.is_valid()) fail("the store's books are wrong");
  // Invariant 1 of objects.h, counted anew. Here the driver holds nothing and no task is left.
  std::unordered_map<uint64_t, uint32_t> refs;
  for (const auto& [id, link] : links_) {
    link->held.for_each([&](uint64_t object, uint32_t) { ++refs[object]; });
  }
  objects_.table().for_each([&](ObjectEntry* entry) {
    if (const auto* inner = objects_.table().contained(entry)) {
      for (ObjectId id : *inner) ++refs[id.value];
    }
  });
  objects_.table().for_each([&](ObjectEntry* entry) {
    if (entry->refs != refs[entry->id.value]) {
      fail("object %lx has %u references, %u are known", entry->id.value, entry->refs,
           refs[entry->id.value]);
    }
    if (!entry->ready()) fail("object %lx is pending on an idle node", entry->id.value);
  });
}

void SimNode::check_end() {
  check_idle();
  if (objects_.table().size() != 0) fail("%zu objects are left", objects_.table().size());
  if (objects_.table().heap_bytes() != 0) fail("heap bytes are left");
  if (objects_.registry().stats().live != 0) fail("live bytes are left in the store");
  if (arena_.stats().used != 0) fail("the driver's arena has slots in use");
  close_chunks(arena_.give_back_all_empty());
  if (objects_.registry().stats().chunks != 0) fail("chunks are left");
  if (views_.mapped_bytes() != 0) fail("a view is left mapped");
  if (scheduler_.alive() != 0 || scheduler_.starting() != 0) fail("the scheduler counts workers");
  for (const auto& [id, list] : watchers_) {
    if (!list.empty()) fail("object %lx is watched still", id);
  }
}

std::string SimNode::describe() {
  std::string text = std::to_string(tasks_) + " tasks, " + std::to_string(scheduler_.ready()) +
                     " ready, " + std::to_string(dependents_.size()) + " objects with dependents;";
  scheduler_.for_each_queued([&](sched::Task* task) {
    text += " one of class " + std::to_string(task->cls->key) + ",";
  });
  for (const auto& [id, link] : links_) {
    const sched::Worker& w = link->worker;
    text += " worker " + std::to_string(id) + ": state " +
            std::to_string(static_cast<int>(w.state)) + " class " +
            (w.cls == nullptr ? "-" : std::to_string(w.cls->key)) + ", " + std::to_string(w.outstanding) +
            " sent, blocked " + std::to_string(w.blocked) + ", inlined " +
            std::to_string(w.inlined) + (link->has_overflow() ? ", overflow" : "") +
            (link->looks_empty() ? "" : ", unread records") + ";";
  }
  return text;
}

}  // namespace simulator

// node_cancel: ending a task that nobody wants any more, and those that it has started.
//
// One that has not begun is taken out of wherever it waits, and fails. One that has begun is
// interrupted (ipc/interrupt.h), or its worker is killed; what it gives after all is its result.
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "ipc/interrupt.h"
#include "node/node.h"
#include "os/process.h"

namespace bolide::node {
namespace {

constexpr Nanos kFirstPause = 2 * kMillisecond;
constexpr Nanos kLongestPause = kSecond;

}  // namespace

void Node::cancel(ObjectEntry* entry, bool force, bool recursive) {
  MutexLock lock(mutex_);
  if (closed_) return;
  drain_releases();
  coarse_now_ = now();
  cancel_maker(entry, force, recursive);
  flush_links();
  refresh_bell();
}

Status Node::on_cancel(WorkerLink&, ipc::Reader& in) {
  const auto record = in.take<ipc::CancelRecord>();
  if (!in.ok()) return Status(Code::kCorrupt, "a worker sent a malformed record: a cancellation");
  // The reference may have been dropped right after the call.
  if (ObjectEntry* entry = objects_.find(ObjectId{record.object})) {
    cancel_maker(entry, record.force != 0, record.recursive != 0);
  }
  return Status();
}

void Node::cancel_maker(ObjectEntry* entry, bool force, bool recursive) {
  if (entry->ready()) return;
  auto* task = static_cast<Task*>(entry->producer);
  if (withdraw(task)) {
    fail_cancelled(task);
  } else {
    const std::vector<Task*> children = recursive ? descendants(task) : std::vector<Task*>();
    interrupt(task, force, recursive);
    // First all are withdrawn and then they fail: the failure of one ends those that wait for it.
    std::vector<Task*> withdrawn;
    for (Task* child : children) {
      if (withdraw(child)) {
        withdrawn.push_back(child);
      } else {
        interrupt(child, force, true);
      }
    }
    for (Task* child : withdrawn) fail_cancelled(child);
  }
  scheduler_.dispatch(coarse_now_);
  rouse_leader();
}

// unwait: the task is not to run, whatever becomes of its dependencies.
void Node::unwait(Task* task) {
  for (uint64_t id : task->dependencies()) {
    auto place = dependents_.find(id);
    if (place == dependents_.end()) continue;
    // From the back: whoever gives up many begins with those that came last.
    std::vector<Task*>& waiting = place->second;
    for (size_t i = waiting.size(); i-- > 0 && task->waiting_for > 0;) {
      if (waiting[i] != task) continue;
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
      --task->waiting_for;
    }
    if (!waiting.empty()) continue;
    dependents_.erase(place);
    ObjectEntry* entry = objects_.find(ObjectId{id});
    entry->flags = static_cast<uint8_t>(entry->flags & ~store::kHasDependents);
  }
  std::erase(settled_, task);
  std::erase_if(starved_, [task](const Starved& each) { return each.task == task; });
  std::erase(held_back_, task);
}

// withdraw takes a task that has not begun out of the scheduler's hands; false if it has begun.
bool Node::withdraw(Task* task) {
  if (task->state == sched::TaskState::kWaiting) {
    unwait(task);
    if (task->calls != nullptr) calls_.forget(task);
    return true;
  }
  if (task->state == sched::TaskState::kAssigned) {
    sched::Worker& worker = *task->worker;
    std::vector<Location> unsent;
    const bool ours = link_of(worker)->take_back_one(task, &unsent);
    for (const Location& span : unsent) free_span(span);
    if (!ours) return false;
    take_arguments_back(*link_of(worker), task, false);
    if (task->calls != nullptr) {
      calls_.withdrawn(task);
      return true;
    }
    scheduler_.taken_back(worker, task);
  }
  task->calls != nullptr ? calls_.forget(task) : scheduler_.forget(task);
  return true;
}

// descendants are the unfinished tasks that the task has started, and those that they have.
// Looked for among all tasks, which is rare; so a task that is submitted costs no list.
std::vector<Task*> Node::descendants(const Task* task) {
  std::unordered_multimap<uint64_t, Task*> children;
  for (Task* other : unfinished_tasks()) {
    // The actors that it has made are not cancelled, only the calls.
    if ((other->header.flags & ipc::kActorCreation) != 0) continue;
    if (other->parent != 0) children.emplace(other->parent, other);
  }
  std::vector<Task*> found;
  std::vector<uint64_t> parents{task->header.task};
  while (!parents.empty()) {
    const auto [begin, end] = children.equal_range(parents.back());
    parents.pop_back();
    for (auto it = begin; it != end; ++it) {
      found.push_back(it->second);
      parents.push_back(it->second->header.task);
    }
  }
  return found;
}

void Node::interrupt(Task* task, bool force, bool recursive) {
  task->cancelled = true;
  task->recursive |= recursive;
  WorkerLink& link = *link_of(*task->worker);
  const WorkerLink::Outstanding* entry = link.find_task(task);
  if (entry == nullptr) return;  // it could not be sent, and fails for that
  // One that runs on top of another is only interrupted: the other is not to die with it. So is a
  // call of an actor, which has a state and other calls.
  if (force && !entry->inlined && task->calls == nullptr) {
    task->killed = true;
    if (link.pid > 0) os::kill_group(link.pid, SIGKILL);
    return;
  }
  link.interrupts.push_back(entry->sequence);
  const uint32_t worker = link.worker.id.value;
  if (std::find(interrupting_.begin(), interrupting_.end(), worker) == interrupting_.end()) {
    interrupting_.push_back(worker);
  }
  interrupt_pause_ = kFirstPause;
  send_interrupts();
  nudge_supervisor();
}

// send_interrupts signals the workers that have tasks to interrupt, and sets the time of the next
// try: see interrupt.h.
void Node::send_interrupts() {
  std::erase_if(interrupting_, [this](uint32_t worker) {
    WorkerLink* link = link_of(worker);
    if (link == nullptr || !link->step_interrupts()) return true;
    os::signal_process(link->pid, ipc::kInterruptSignal);
    return false;
  });
  interrupt_again_ = interrupting_.empty() ? INT64_MAX : now() + interrupt_pause_;
  interrupt_pause_ = std::min(2 * interrupt_pause_, kLongestPause);
}

// fail_cancelled ends a task that is nowhere in the scheduler.
void Node::fail_cancelled(Task* task, const char* state) {
  fail(task, SystemErrorKind::kTaskCancelled, cancellation_text(task, state));
}

std::string Node::cancellation_text(Task* task, const char* state) {
  char id[17];
  std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(task->header.task));
  return std::string(id) + "It is a call of '" + task_name(task) + "' that " + state + ".";
}

}  // namespace bolide::node

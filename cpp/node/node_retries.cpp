// node_retries: what follows an attempt that gave no values: another one, or the failure; and
// workers that leave after a result.
#include <algorithm>

#include "node/node.h"

namespace bolide::node {
// task_lost: the worker died while it ran this task.
void Node::task_lost(Task* task, const std::string& how, int pid, const MemoryDeath* memory) {
  if (task->ungrouped) {
    fail_ungrouped(task);
    return;
  }
  if (task->killed) {
    fail(task, SystemErrorKind::kWorkerCrashed,
         "The worker process (pid " + std::to_string(pid) + ") that ran the task '" +
             task_name(task) + "' was killed by cancel(force=True).");
    return;
  }
  if (task->cancelled) {
    fail(task, SystemErrorKind::kTaskCancelled,
         cancellation_text(task, "was running, and its worker died"));
    return;
  }
  if (memory != nullptr) {
    task_out_of_memory(task, *memory, pid);
    return;
  }
  if (task->may_retry()) {
    retry(task);
    return;
  }
  const std::string attempts = std::to_string(task->header.attempt + 1);
  fail(task, SystemErrorKind::kWorkerCrashed,
       "The worker process (pid " + std::to_string(pid) + ") that ran the task '" +
           task_name(task) + "' died: " + how + ". It was attempt " + attempts + " of " +
           attempts + " (max_retries=" + std::to_string(task->header.max_retries) +
           "). The worker's own output above may tell why; raise max_retries if the cause is "
           "passing.");
}

void Node::retry(Task* task) {
  ++task->header.attempt;
  ++retries_;
  scheduler_.resubmit(task);
}

// on_retryable: the task raised an exception after which it is to run again. The worker knows
// from the header that an attempt is left, so it sends no values.
Status Node::on_retryable(WorkerLink& link, WorkerLink::Outstanding* entry,
                          const ipc::ResultHeader& result) {
  Task* task = entry->task;
  const bool asked = (task->header.flags & ipc::kRetryExceptions) != 0;
  if (!asked || result.returns != 0 || !task->may_retry()) {
    return Status(Code::kCorrupt, "a worker sent a malformed record: a retry that was not asked for");
  }
  const bool inlined = entry->inlined;
  link.remove_outstanding(entry);
  take_arguments_back(link, task, true);
  if (link.actor != nullptr) {
    if (task->cancelled) {
      answered(link, task, result, false);
      fail_cancelled(task, "was running");
      return Status();
    }
    ++task->header.attempt;
    ++retries_;
    answered(link, task, result, true);
    return Status();
  }
  scheduler_.completed(link.worker, task, inlined, static_cast<Nanos>(result.duration),
                       coarse_now_);
  if ((result.flags & ipc::kLeaving) != 0) part_with(link);
  if (task->cancelled) {
    fail(task, SystemErrorKind::kTaskCancelled, cancellation_text(task, "was running"));
  } else if (task->ungrouped) {
    fail_ungrouped(task);
  } else {
    retry(task);
  }
  return Status();
}

// part_with: the worker ends by itself. What it was sent and did not begin is queued again.
void Node::part_with(WorkerLink& link) {
  take_back(link.worker);
  scheduler_.worker_gone(link.worker);
  link.retiring = true;
}

std::string Node::task_name(Task* task) {
  if (!task->name().empty()) return std::string(task->name());
  // An exported function begins with its name: uint32 length, then UTF-8.
  const store::ValueBytes value = bytes_of(task->function);
  uint32_t length = 0;
  if (value.data == nullptr || value.size < sizeof length) return "?";
  std::memcpy(&length, value.data, sizeof length);
  if (length > value.size - sizeof length) return "?";
  return std::string(reinterpret_cast<const char*>(value.data) + sizeof length, length);
}

}  // namespace bolide::node

// node_memory: watching the memory of workers and of the machine while something runs, and what
// follows when it runs short. Whom it meets: memory_policy.h.
//
// Nobody looks while nothing runs: a worker that gets its first task, or an actor a call, begins
// it (memory_due_), and a look that finds nothing running ends it. So an idle node sleeps, and a
// task costs the test of a flag.
#include <signal.h>

#include <algorithm>

#include "node/node.h"
#include "os/process.h"

namespace bolide::node {
namespace {

constexpr Nanos kVictimGone = 10 * kMillisecond;  // between looks whether it is
constexpr Nanos kFirstWait = kSecond;             // of a task that the machine had no room for
constexpr uint32_t kDoublings = 6;

}  // namespace

// leased: the worker begins to run tasks of a class.
void Node::leased(sched::Worker& worker) {
  if (options_.memory_refresh == 0) return;
  const uint64_t limit = worker.cls->memory;
  if (limit != 0) {
    // Read here, because a look of the supervisor's might come when the task has grown already.
    WorkerLink& link = *link_of(worker);
    link.memory_before = os::private_memory(link.pid);
  }
  watch_memory_within(pause_to_limits(std::vector<Suspect>{{.limit = limit}},
                                      options_.memory_refresh));
}

void Node::watch_memory_within(Nanos pause) {
  if (options_.memory_refresh == 0) return;
  const Nanos due = now() + pause;
  if (due >= memory_due_) return;
  memory_due_ = due;
  if (due < supervisor_until_) nudge_supervisor();
}

// running_task is what the worker runs: of several, one on top of the others, the last. nullptr:
// nothing, as far as the node knows.
const WorkerLink::Outstanding* Node::running_task(const WorkerLink& link) const {
  for (size_t i = link.outstanding.size(); i-- > 0;) {
    if (link.started(link.outstanding[i])) return &link.outstanding[i];
  }
  return nullptr;
}

// list_suspects lists the workers that run something or are an actor's, without what they hold.
std::vector<Suspect> Node::list_suspects(bool* any_runs) {
  std::vector<Suspect> suspects;
  std::vector<std::pair<uint64_t, WorkerLink*>> fresh;  // those whose task was not seen before
  for (const auto& [id, link] : links_) {
    if (!link->hello || link->retiring || link->pid <= 0) continue;
    const WorkerLink::Outstanding* entry = running_task(*link);
    if (!link->outstanding.empty()) *any_runs = true;
    if (entry == nullptr && link->actor == nullptr) continue;
    if (entry != nullptr && entry->sequence != link->seen_sequence) {
      link->seen_sequence = entry->sequence;
      fresh.emplace_back(entry->task->header.task, link.get());
    }
    Suspect suspect;
    suspect.worker = id;
    suspect.runs = entry != nullptr && link->awaited.empty();
    if (link->actor != nullptr) {
      suspect.retriable = link->actor->may_restart();
    } else {
      suspect.retriable = true;
      for (const auto& each : link->outstanding) {
        suspect.retriable &= !link->started(each) || each.task->header.max_retries != 0;
      }
    }
    suspect.before = link->memory_before;
    suspect.limit = link->worker.cls == nullptr ? 0 : link->worker.cls->memory;
    suspects.push_back(suspect);
  }
  // What began since the last look is in the order of submission.
  std::sort(fresh.begin(), fresh.end());
  for (const auto& [task, link] : fresh) link->begun = ++begun_;
  for (Suspect& suspect : suspects) suspect.begun = link_of(suspect.worker)->begun;
  return suspects;
}

// watch_memory opens the lock while it reads. Only this thread removes links.
void Node::watch_memory(MutexLock& lock) {
  if (memory_victim_ != 0) {
    if (link_of(memory_victim_) != nullptr) {  // one at a time: what it held is not free yet
      memory_due_ = now() + kVictimGone;
      return;
    }
    memory_victim_ = 0;
  }
  bool any_runs = false;
  std::vector<Suspect> suspects = list_suspects(&any_runs);
  if (!any_runs && starved_.empty()) {
    memory_due_ = INT64_MAX;
    scheduler_.announce_lease();
    return;
  }
  const bool machine_too = now() >= machine_due_;
  std::vector<pid_t> pids;
  for (const Suspect& suspect : suspects) pids.push_back(link_of(suspect.worker)->pid);
  lock.unlock();
  for (size_t i = 0; i < pids.size(); ++i) suspects[i].held = os::private_memory(pids[i]);
  os::MachineMemory machine{};
  if (machine_too) machine = os::machine_memory(options_.meminfo);
  lock.lock();
  const Nanos time = now();
  const Nanos refresh = options_.memory_refresh;
  MemoryDeath death;
  death.threshold = options_.memory_threshold;
  const Suspect* victim = over_its_limit(suspects);
  if (victim == nullptr && machine_too) {
    machine_due_ = time + pause_to_threshold(machine, death.threshold, refresh);
    const bool low = used_share(machine) > death.threshold;
    if (low) {
      death.machine = machine;
      victim = culprit(suspects);
      death.alone = victim != nullptr && is_alone(suspects, *victim);
    }
    if (!low || !any_runs) feed_starved(time, !any_runs);
  }
  memory_due_ = std::min(machine_due_, time + pause_to_limits(suspects, refresh));
  if (victim == nullptr) return;
  death.suspect = *victim;
  kill_for_memory(death);
}

// kill_for_memory ends the worker, unless what it ran has ended while its memory was read.
void Node::kill_for_memory(const MemoryDeath& death) {
  WorkerLink* link = link_of(death.suspect.worker);
  while (drain_link(*link)) {
  }
  const WorkerLink::Outstanding* entry = running_task(*link);
  const uint64_t sequence = entry == nullptr ? link->seen_sequence : entry->sequence;
  if ((entry == nullptr && link->actor == nullptr) || sequence != link->seen_sequence) return;
  link->memory_death = std::make_unique<MemoryDeath>(death);
  memory_victim_ = death.suspect.worker;
  machine_due_ = now() + options_.memory_refresh;
  memory_due_ = now() + kVictimGone;
  os::kill_group(link->pid, SIGKILL);
}

// task_out_of_memory: the worker that ran it was killed for its memory. One that was killed for the
// others' sake pays no attempt, and waits until there is room.
void Node::task_out_of_memory(Task* task, const MemoryDeath& death, int pid) {
  const std::string what = explain(death, "The task '" + task_name(task) + "'", pid);
  if (!death.own_limit() && !death.alone && task->header.max_retries != 0) {
    task->state = sched::TaskState::kWaiting;
    const Nanos pause = kFirstWait << std::min<uint32_t>(task->starved, kDoublings);
    if (task->starved < UINT8_MAX) ++task->starved;
    ++retries_;
    starved_.push_back({task, now() + pause});
    watch_memory_within(options_.memory_refresh);
  } else if (task->may_retry()) {
    retry(task);
  } else {
    const std::string attempts = std::to_string(task->header.attempt + 1);
    const char* advice =
        death.own_limit()
            ? "Raise memory=, or let it hold less at a time."
            : "Run fewer tasks at a time (num_cpus=, memory=), or let them hold less.";
    fail(task, SystemErrorKind::kOutOfMemory,
         what + ". It was attempt " + attempts + " of " + attempts +
             " (max_retries=" + std::to_string(task->header.max_retries) + "). " + advice);
    return;
  }
  warnings_.push_back(what + "; it is run again.");
  service_->push(0);
}

// feed_starved queues tasks again that the machine had no room for: those whose time has come, or
// all if nothing else runs.
void Node::feed_starved(Nanos time, bool all) {
  std::erase_if(starved_, [&](const Starved& each) {
    if (!all && each.until > time) return false;
    scheduler_.resubmit(each.task);
    return true;
  });
  scheduler_.dispatch(time);
}

}  // namespace bolide::node

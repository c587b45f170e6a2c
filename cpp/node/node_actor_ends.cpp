// node_actor_ends: the ways in which an actor ends or starts again. It is killed, leaves by itself,
// loses its last handle or its creator, or its process dies.
#include <signal.h>

#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"
#include "os/process.h"

namespace bolide::node {
namespace {

using sched::ActorState;

constexpr Nanos kLeaveWithin = 30 * kSecond;

}  // namespace

// fail_call ends a call that is in no queue with an error value that the core has made.
void Node::fail_call(Task* call, const std::string& value) {
  for (uint32_t i = 0; i < call->header.returns; ++i) {
    objects_.table().set_inline(return_entry(call, i), value.data(), value.size(),
                                ipc::kError | ipc::kSystemError);
  }
  finish(call);
}

// give_up_creation drops the constructor's task, unless a worker has it: then it ends with that
// one.
void Node::give_up_creation(Actor& actor) {
  if (actor.creation == nullptr || actor.creation_out) return;
  Task* task = std::exchange(actor.creation, nullptr);
  if (actor.state == ActorState::kAlive) {
    drop_arguments(task);  // it was kept for a restart
    return;
  }
  task->state == sched::TaskState::kWaiting ? unwait(task) : scheduler_.forget(task);
  finish(task);
}

// end_actor: from now on every call is this error. A process that it has is not touched.
void Node::end_actor(Actor& actor, SystemErrorKind kind, std::string_view text) {
  if (actor.dead()) return;
  ObjectEntry* entry = actor.entry;
  if (entry != nullptr) ++entry->refs;
  give_up_creation(actor);
  actor.state = ActorState::kDead;
  actor.death = encode_actor_error(kind, actor.id.value, text);
  free_name(actor);
  // None may wait when the first fails: that one's result may be another's dependency.
  const std::vector<sched::Task*> held = calls_.take_held(actor);
  for (size_t i = held.size(); i-- > 0;) unwait(static_cast<Task*>(held[i]));
  for (sched::Task* call : held) fail_call(static_cast<Task*>(call), actor.death);
  if (std::exchange(actor.holds_itself, false)) objects_.release(entry);
  if (std::exchange(actor.detached, false)) objects_.release(entry);
  if (entry != nullptr) objects_.release(entry);
}

// creation_failed: the constructor cannot be run. Its task is in no queue any more.
void Node::creation_failed(Task* creation, SystemErrorKind kind, std::string_view text) {
  Actor* actor = find_actor(ObjectId{creation->header.scheduling_class});
  actor->creation = nullptr;
  end_actor(*actor, kind, text);
  finish(creation);
}

// ---- killed, or leaving by itself

Status Node::kill_actor(ObjectId id, bool no_restart) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  if (Actor* actor = find_actor(id)) kill(*actor, no_restart);
  flush_links();
  refresh_bell();
  return Status();
}

void Node::kill(Actor& actor, bool no_restart) {
  if (actor.dead()) {
    if (actor.link != nullptr && actor.link->pid > 0) os::kill_group(actor.link->pid, SIGKILL);
    return;
  }
  WorkerLink* link = actor.link;
  if (no_restart || !actor.may_restart()) {
    end_actor(actor, SystemErrorKind::kActorDied,
              describe(actor) + " is dead: it was killed by kill().");
  } else {
    actor.how_killed = "killed by kill(no_restart=False)";
  }
  if (link != nullptr && link->pid > 0) os::kill_group(link->pid, SIGKILL);
}

Status Node::on_kill(WorkerLink&, ipc::Reader& in) {
  const auto record = in.take<ipc::KillRecord>();
  if (!in.ok()) return Status(Code::kCorrupt, "a worker sent a malformed record: a kill");
  if (Actor* actor = find_actor(ObjectId{record.actor})) kill(*actor, record.no_restart != 0);
  return Status();
}

Status Node::on_actor_exit(WorkerLink& link, ipc::Reader& in) {
  const auto exit = in.take<ipc::ActorExit>();
  const auto* bytes = reinterpret_cast<const char*>(in.bytes(exit.bytes));
  if (!in.ok() || link.actor == nullptr) {
    return Status(Code::kCorrupt, "a worker sent a malformed record: the end of an actor");
  }
  const std::string_view text(bytes, exit.bytes);
  Actor& actor = *link.actor;
  if (exit.kind == ipc::ExitKind::kConstructor) {
    end_actor(actor, SystemErrorKind::kActorInitFailed, text);
  } else if (exit.kind == ipc::ExitKind::kIntended) {
    end_actor(actor, SystemErrorKind::kActorDied,
              describe(actor) + " is dead: " + std::string(text) + ".");
  }
  // It may have been another thread of the worker: its main thread sleeps on the ring.
  link.send(ipc::RecordType::kShutdown, 0, [](std::byte*) {});
  mark_dirty(link);
  deadlines_[link.worker.id.value] = now() + kLeaveWithin;
  nudge_supervisor();
  return Status();
}

// actor_freed: no handle is left, and no call, since each holds the actor. Decided later, because
// the table that calls this is in the middle of a change.
void Node::actor_freed(ObjectId id) {
  Actor* actor = find_actor(id);
  if (actor == nullptr) return;  // it could not be declared
  actor->entry = nullptr;
  free_name(*actor);
  unreferenced_.push_back(id);
}

void Node::end_unreferenced_actors() {
  while (!unreferenced_.empty()) {
    Actor* actor = find_actor(unreferenced_.back());
    unreferenced_.pop_back();
    if (actor == nullptr) continue;
    const bool leaves = actor->state == ActorState::kAlive;
    WorkerLink* link = actor->link;
    end_actor(*actor, SystemErrorKind::kActorDied, "");
    if (link == nullptr) {
      forget_actor(actor);
    } else if (leaves) {
      retire(link->worker);
      deadlines_[link->worker.id.value] = now() + kLeaveWithin;
      nudge_supervisor();
    } else if (link->pid > 0) {
      os::kill_group(link->pid, SIGKILL);  // a constructor that ran again, for nobody
    }
  }
}

// owner_gone: what a client had created does not outlive its crash, as in Ray.
void Node::owner_gone(ClientId owner, const std::string& how) {
  std::vector<Actor*> orphans;
  for (const auto& [id, actor] : actors_) {
    if (actor->owner == owner && !actor->detached && !actor->dead()) orphans.push_back(actor.get());
  }
  for (Actor* actor : orphans) {
    WorkerLink* link = actor->link;
    end_actor(*actor, SystemErrorKind::kActorDied,
              describe(*actor) + " is dead: the worker process that created it ended (" + how +
                  "). Create it in the driver, or with lifetime=\"detached\".");
    if (link != nullptr && link->pid > 0) os::kill_group(link->pid, SIGKILL);
  }
}

// ---- lost

// lose_actor: the process of this actor is gone. Calls that it had begun are run again if they may
// be; those that it had not begun are sent again in any case, and burn no retry.
void Node::lose_actor(WorkerLink& link, const std::string& how, int pid,
                      const MemoryDeath* memory) {
  Actor& actor = *std::exchange(link.actor, nullptr);
  actor.link = nullptr;
  ObjectEntry* entry = actor.entry;
  if (entry != nullptr) ++entry->refs;
  const bool restarts = !actor.dead() && actor.may_restart();
  bool constructing = false;  // it died in the constructor, or before that
  bool begun = true;
  std::vector<Task*> failed;
  auto outstanding = std::move(link.outstanding);
  link.outstanding.clear();
  for (size_t i = outstanding.size(); i-- > 0;) {
    Task* task = outstanding[i].task;
    const bool started = link.started(outstanding[i]);
    take_arguments_back(link, task, false);
    if (task == actor.creation) {
      scheduler_.abandon(link.worker, task);
      actor.creation_out = false;
      constructing = true;
      begun = started;
      continue;
    }
    if (restarts && !task->cancelled && (!started || task->may_retry())) {
      if (started) {
        ++task->header.attempt;
        ++retries_;
      }
      calls_.back(task);
    } else {
      calls_.ended(task);
      failed.push_back(task);
    }
  }
  scheduler_.worker_gone(link.worker);
  const std::string cause = std::exchange(actor.how_killed, {});
  const std::string end = "worker process (pid " + std::to_string(pid) + ") " +
                          (constructing ? "died in the constructor: " : "died: ") +
                          (cause.empty() ? how : cause);
  if (actor.dead()) {
    if (Task* creation = std::exchange(actor.creation, nullptr)) finish(creation);
  } else if (restarts || !begun) {
    calls_.restarting(actor);
    if (begun) ++actor.restarts;
    if (!constructing) ++tasks_;
    actor.creation->header.attempt = actor.restarts;
    scheduler_.resubmit(actor.creation);
  } else {
    Task* creation = constructing ? std::exchange(actor.creation, nullptr) : nullptr;
    const std::string counts = "It had been restarted " + std::to_string(actor.restarts) +
                               " times (max_restarts=" + std::to_string(actor.max_restarts) + "). ";
    if (memory != nullptr) {
      end_actor(actor, SystemErrorKind::kActorOutOfMemory,
                explain(*memory, describe(actor), pid) + ". " + counts +
                    "Raise memory=, or let it hold less.");
    } else {
      end_actor(actor, SystemErrorKind::kActorDied,
                describe(actor) + " is dead: its " + end + ". " + counts +
                    "The worker's own output above may tell why; raise max_restarts if the cause "
                    "is passing.");
    }
    if (creation != nullptr) finish(creation);
  }
  const std::string again =
      ", and '" + actor.spec.class_name +
      "' is being started again; set max_task_retries if calls may run more than once";
  const std::string unavailable =
      memory != nullptr
          ? encode_actor_error(SystemErrorKind::kActorOutOfMemory, actor.id.value,
                               explain(*memory, describe(actor), pid) + again)
          : encode_actor_error(SystemErrorKind::kActorUnavailable, actor.id.value,
                               "the " + end + again);
  while (!failed.empty()) {
    if (failed.back()->cancelled) {
      fail_cancelled(failed.back(), "was running, and its worker died");
    } else {
      fail_call(failed.back(), actor.dead() ? actor.death : unavailable);
    }
    failed.pop_back();
  }
  if (entry != nullptr) {
    objects_.release(entry);
  } else {
    forget_actor(&actor);
  }
}

}  // namespace bolide::node

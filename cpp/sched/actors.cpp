#include "sched/actors.h"

#include <algorithm>

#include "base/assert.h"

namespace bolide::sched {
namespace {

constexpr Nanos kLongest = 3'600'000'000'000;  // a duration; what says more is not believed

}  // namespace

// ---- the actor

void Actors::starting(Actor& actor, Worker& worker) {
  actor.state = ActorState::kStarting;
  actor.worker = &worker;
}

void Actors::alive(Actor& actor) {
  actor.state = ActorState::kAlive;
  pump(actor);
}

void Actors::restarting(Actor& actor) {
  BOLIDE_DCHECK(actor.out == 0, "calls are still with the worker of an actor that restarts");
  actor.state = ActorState::kRestarting;
  actor.worker = nullptr;
}

std::vector<Task*> Actors::take_held(Actor& actor) {
  std::vector<Task*> taken;
  taken.reserve(actor.held);
  for (const auto& queue : actor.queues) {
    for (ReadyQueue* list : {&queue->calls, &queue->unready}) {
      while (Task* call = list->front()) {
        list->remove(call);
        taken.push_back(call);
      }
    }
  }
  actor.held = 0;
  return taken;
}

// ---- calls

CallQueue* Actors::queue_of(Actor& actor, uint32_t caller, uint32_t group) {
  // Usually there is one caller, or the one that called last calls again.
  for (size_t i = actor.queues.size(); i-- > 0;) {
    CallQueue* queue = actor.queues[i].get();
    if (queue->caller == caller && queue->group == group) return queue;
  }
  if (actor.queues.size() >= limits_.idle_queues) drop_idle_queues(actor);
  auto fresh = std::make_unique<CallQueue>();
  fresh->actor = &actor;
  fresh->caller = caller;
  fresh->group = group;
  actor.queues.push_back(std::move(fresh));
  return actor.queues.back().get();
}

void Actors::drop_idle_queues(Actor& actor) {
  std::erase_if(actor.queues, [](const auto& queue) {
    return queue->out == 0 && queue->calls.empty() && queue->unready.empty();
  });
  actor.turn = 0;
}

bool Actors::has_room(const Actor& actor, const CallGroup& group) const {
  return group.out < (actor.serial() ? actor.ahead : group.limit);
}

void Actors::submit(Actor& actor, Task* call, uint32_t caller, uint32_t group, bool is_ready) {
  CallQueue* queue = queue_of(actor, caller, group);
  call->calls = queue;
  call->state = is_ready ? TaskState::kReady : TaskState::kWaiting;
  if (is_ready && actor.state == ActorState::kAlive && queue->calls.empty() &&
      queue->alone == nullptr && has_room(actor, actor.groups[group])) {
    send(*queue, call);
    return;
  }
  (is_ready || actor.in_order ? queue->calls : queue->unready).push_back(call);
  ++actor.held;
}

void Actors::ready(Task* call) {
  CallQueue& queue = *call->calls;
  call->state = TaskState::kReady;
  if (!queue.actor->in_order) {
    queue.unready.remove(call);
    queue.calls.push_back(call);
  }
  pump(*queue.actor);
}

void Actors::forget(Task* call) {
  CallQueue& queue = *call->calls;
  const bool unready = call->state == TaskState::kWaiting && !queue.actor->in_order;
  (unready ? queue.unready : queue.calls).remove(call);
  --queue.actor->held;
  pump(*queue.actor);  // it may have held back others
}

void Actors::leave(Task* call) {
  CallQueue& queue = *call->calls;
  Actor& actor = *queue.actor;
  if (queue.alone == call) queue.alone = nullptr;
  --queue.out;
  --actor.groups[queue.group].out;
  --actor.out;
  call->worker = nullptr;
}

void Actors::learn(Actor& actor, Nanos duration) {
  duration = std::clamp<Nanos>(duration, 1, kLongest);
  const bool first = actor.mean_ns == 0;
  actor.mean_ns = first ? duration : actor.mean_ns + (duration - actor.mean_ns) / 8;
  const Nanos ahead = limits_.pipeline / std::max<Nanos>(1, actor.mean_ns);
  actor.ahead =
      static_cast<uint32_t>(std::clamp<Nanos>(ahead, limits_.least_ahead, limits_.most_ahead));
}

void Actors::completed(Task* call, Nanos duration, bool again) {
  Actor& actor = *call->calls->actor;
  leave(call);
  if (actor.serial()) learn(actor, duration);
  if (again) {
    call->state = TaskState::kReady;
    call->calls->calls.push_front(call);
    ++actor.held;
  }
  if (actor.held != 0) pump(actor);
}

void Actors::back(Task* call) {
  leave(call);
  call->state = TaskState::kReady;
  call->calls->calls.push_front(call);
  ++call->calls->actor->held;
}

void Actors::ended(Task* call) { leave(call); }

void Actors::withdrawn(Task* call) {
  Actor& actor = *call->calls->actor;
  leave(call);
  if (actor.held != 0) pump(actor);
}

// ---- sending

bool Actors::sendable(const CallQueue& queue) const {
  const Task* first = queue.calls.front();
  return first != nullptr && first->state == TaskState::kReady && queue.alone == nullptr &&
         has_room(*queue.actor, queue.actor->groups[queue.group]);
}

void Actors::send(CallQueue& queue, Task* call) {
  Actor& actor = *queue.actor;
  ++queue.out;
  ++actor.groups[queue.group].out;
  ++actor.out;
  call->state = TaskState::kAssigned;
  call->worker = actor.worker;
  if (call->holds_back && actor.in_order) queue.alone = call;
  actions_.send_call(actor, *call);
}

void Actors::pump(Actor& actor) {
  if (actor.state != ActorState::kAlive) return;
  size_t passed = 0;  // queues in a row that had nothing to send
  while (actor.held > 0 && passed < actor.queues.size()) {
    if (actor.groups.size() == 1 && !has_room(actor, actor.groups[0])) return;
    if (actor.turn >= actor.queues.size()) actor.turn = 0;
    CallQueue& queue = *actor.queues[actor.turn++];
    if (!sendable(queue)) {
      ++passed;
      continue;
    }
    passed = 0;
    Task* call = queue.calls.front();
    queue.calls.remove(call);
    --actor.held;
    send(queue, call);
  }
}

// ---- telling

size_t Actors::pending(const Actor& actor, uint32_t caller) {
  size_t count = 0;
  for (const auto& queue : actor.queues) {
    if (queue->caller == caller) count += queue->out + queue->calls.size() + queue->unready.size();
  }
  return count;
}

bool Actors::audit(const Actor& actor) {
  size_t held = 0;
  size_t out = 0;
  std::vector<size_t> by_group(actor.groups.size(), 0);
  for (const auto& queue : actor.queues) {
    if (queue->actor != &actor || queue->group >= actor.groups.size()) return false;
    if (actor.in_order && !queue->unready.empty()) return false;
    if (queue->alone != nullptr && queue->alone->state != TaskState::kAssigned) return false;
    held += queue->calls.size() + queue->unready.size();
    out += queue->out;
    by_group[queue->group] += queue->out;
  }
  for (size_t i = 0; i < actor.groups.size(); ++i) {
    if (by_group[i] != actor.groups[i].out) return false;
    if (!actor.serial() && actor.groups[i].out > actor.groups[i].limit) return false;
  }
  return held == actor.held && out == actor.out;
}

}  // namespace bolide::sched

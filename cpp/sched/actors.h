// actors: which call of an actor goes to its worker next.
//
// A pure state machine over calls, callers and time, as the scheduler is: it starts no process,
// reads no clock and touches no shared memory. The owner places the constructor through the
// scheduler (a dedicated class) and says here what became of it; a call never meets the
// scheduler. Not thread safe: the node's lock guards it.
//
// Policy
//   - Nothing is sent before the constructor is done, nor while the actor restarts.
//   - Calls of one caller and concurrency group are sent in the order of submission, unless the
//     actor says that order does not matter. A call whose dependencies are not ready, or that is
//     to run again, holds back the later ones. Callers take turns.
//   - A group has at most as many calls with the worker as it may run at a time. An actor that
//     runs one at a time is sent about 100 us of work ahead.
//
// Invariants
//   1. A call that has not ended is in exactly one place: in its queue (`calls` or `unready`), or
//      out, with the worker.
//   2. held = the calls in the queues; out = the sum over groups = the sum over queues.
//   3. In a queue of an actor that keeps order, calls are in the order of submission, and all of
//      them were submitted after those that are out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/api.h"
#include "sched/task.h"

namespace bolide::sched {

struct Actor;

enum class ActorState : uint8_t {
  kPending,     // its constructor waits for dependencies, resources or a worker
  kStarting,    // a worker has the constructor
  kAlive,       // calls go to the worker
  kRestarting,  // its worker died; the constructor waits to run again
  kDead,        // it takes no more calls
};

// The calls of one caller to one concurrency group of an actor.
struct CallQueue {
  Actor* actor = nullptr;
  uint32_t caller = 0;
  uint32_t group = 0;
  ReadyQueue calls;       // to be sent, in this order; where order matters some may not be ready
  ReadyQueue unready;     // where order does not matter: those whose dependencies are not ready
  Task* alone = nullptr;  // out, and nothing of this queue may follow it (Task::holds_back)
  uint32_t out = 0;
};

struct CallGroup {
  uint32_t limit = 1;  // calls that run at a time
  uint32_t out = 0;
};

struct Actor {
  ActorState state = ActorState::kPending;
  bool in_order = true;
  int32_t max_restarts = 0;  // -1: without end
  uint32_t restarts = 0;
  Worker* worker = nullptr;          // while starting or alive
  std::vector<CallGroup> groups{1};  // the first is that of calls that name none
  std::vector<std::unique_ptr<CallQueue>> queues;
  size_t held = 0;
  size_t out = 0;
  size_t turn = 0;      // the queue that is looked at next
  uint32_t ahead = 16;  // of one that runs a call at a time: how many may be out
  int64_t mean_ns = 0;  // running mean of what its calls took; 0: unknown

  bool serial() const { return groups.size() == 1 && groups[0].limit == 1; }
  bool may_restart() const {
    return max_restarts < 0 || restarts < static_cast<uint32_t>(max_restarts);
  }
};

class BOLIDE_API Actors {
 public:
  class Actions {
   public:
    virtual ~Actions() = default;
    // Put the call into the ring of the actor's worker. Called with the owner's lock held.
    virtual void send_call(Actor& actor, Task& call) = 0;
  };

  struct Limits {
    Nanos pipeline = 100'000;  // work sent ahead to an actor that runs one call at a time
    uint32_t most_ahead = 1024;
    uint32_t least_ahead = 2;
    size_t idle_queues = 32;  // callers that may be remembered though they have no call
  };

  explicit Actors(Actions& actions) : actions_(actions) {}
  Actors(Actions& actions, const Limits& limits) : limits_(limits), actions_(actions) {}

  // --- the actor; the owner also sets `state` to kDead, see take_held
  void starting(Actor& actor, Worker& worker);
  void alive(Actor& actor);
  // restarting: its worker is gone. Before it, each call that was out has been given to `back` or
  // `ended`.
  void restarting(Actor& actor);
  // take_held empties the queues of a dead actor: these calls will not be sent.
  std::vector<Task*> take_held(Actor& actor);

  // --- calls
  // submit: `group` is one of the actor's; the call is ready if its dependencies are.
  void submit(Actor& actor, Task* call, uint32_t caller, uint32_t group, bool is_ready);
  // ready: the last dependency of a call has come.
  void ready(Task* call);
  // forget: a call that is not out has ended otherwise (cancelled, a failed dependency).
  void forget(Task* call);
  // completed: the worker has answered, `duration` is what it took. With again, the call is to run
  // once more, before the later ones of its caller.
  void completed(Task* call, Nanos duration, bool again);
  // back: the worker died, and this call is to be sent again. Newest first.
  void back(Task* call);
  // ended: the worker died, and it will not be sent again.
  void ended(Task* call);
  // withdrawn: the call was taken out of the worker's ring, and will not be sent again.
  void withdrawn(Task* call);

  // pending: calls of that caller which have not ended.
  static size_t pending(const Actor& actor, uint32_t caller);

  // for_each_held visits the calls that have not been sent.
  template <class Visit>
  static void for_each_held(const Actor& actor, Visit visit) {
    for (const auto& queue : actor.queues) {
      for (Task* call = queue->calls.front(); call != nullptr; call = call->next) visit(call);
      for (Task* call = queue->unready.front(); call != nullptr; call = call->next) visit(call);
    }
  }

  static bool audit(const Actor& actor);

 private:
  CallQueue* queue_of(Actor& actor, uint32_t caller, uint32_t group);
  void drop_idle_queues(Actor& actor);
  bool has_room(const Actor& actor, const CallGroup& group) const;
  bool sendable(const CallQueue& queue) const;
  void send(CallQueue& queue, Task* call);
  void pump(Actor& actor);
  void leave(Task* call);
  void learn(Actor& actor, Nanos duration);

  const Limits limits_{};
  Actions& actions_;
};

}  // namespace bolide::sched

// actor: an actor as the node keeps it, from the booking of its object to the end of its process.
//
// Thread safety: the node's lock guards it.
//
// Life
//   - declared: its object exists, the constructor has not been submitted. Ends with its object.
//   - pending to alive, restarting: see sched/actors.h. `creation` is the constructor's task; it is
//     kept after the first success while it may have to run again.
//   - dead: `death` is the value of every call from then on. The record stays while there are
//     handles, or the process has not ended.
//
// Invariants
//   1. While `holds_itself`, one reference of the object is the constructor's: an actor whose
//      handles are gone still runs its constructor. While `detached`, one is the node's.
//   2. `link` is set from the moment at which a worker is sent the constructor until that worker is
//      gone, and then link->actor is this actor.
#pragma once

#include <string>

#include "base/clock.h"
#include "node/actor_spec.h"
#include "node/task_record.h"
#include "sched/actors.h"

namespace bolide::node {

class WorkerLink;

struct Actor : sched::Actor {
  ObjectId id{};
  ActorSpec spec;
  store::ObjectEntry* entry = nullptr;  // nullptr once all handles are gone
  WorkerLink* link = nullptr;
  Task* creation = nullptr;
  ClientId owner{};  // who created it; it does not outlive this client's crash
  bool holds_itself = false;
  bool detached = false;
  bool submitted = false;     // its constructor was
  bool creation_out = false;  // a worker has the constructor
  std::string how_killed;     // why its process was killed although it may start again
  std::string death;

  bool dead() const { return state == sched::ActorState::kDead; }
};

}  // namespace bolide::node

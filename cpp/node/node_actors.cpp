// node_actors: an actor is declared by its object, made by its constructor's task, and called
// through its worker's ring. How actors end is in node_actor_ends.cpp.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

using sched::ActorState;

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// A key of a name as people write it.
std::string quoted_name(std::string_view key) {
  std::string quoted = "'";
  quoted.append(key.substr(key.find('\0') + 1)).push_back('\'');
  return quoted;
}

void append(std::vector<std::byte>* out, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out->insert(out->end(), bytes, bytes + size);
}

}  // namespace

Actor* Node::find_actor(ObjectId id) {
  auto it = actors_.find(id.value);
  return it == actors_.end() ? nullptr : it->second.get();
}

// describe names an actor in a sentence, with the id that its handle shows.
std::string Node::describe(const Actor& actor) const {
  return "The actor '" + actor.spec.class_name + "' (id " + hex(session_) + hex(actor.id.value) +
         ")";
}

std::string Node::method_name(const Actor& actor, Task* call) {
  if (!call->name().empty()) return std::string(call->name());
  const uint32_t method = ipc::method_of(call->header.scheduling_class);
  return method < actor.spec.methods.size() ? actor.spec.methods[method] : "?";
}

// declare_actor: the object of an actor has its value. kExists if its name is taken.
Status Node::declare_actor(ObjectEntry* entry, ClientId owner) {
  const store::ValueBytes value = bytes_of(entry);
  auto spec = parse_actor_spec(value.data, value.size);
  if (!spec.is_ok()) return spec.status().clone();
  const std::string& key = spec->key;
  const bool taken = !key.empty() && names_.contains(key);
  auto made = std::make_unique<Actor>();
  Actor& actor = *made;
  actor.id = entry->id;
  actor.spec = spec.take();
  actor.entry = entry;
  actor.owner = owner;
  actor.in_order = (actor.spec.header.flags & kInOrder) != 0;
  actor.max_restarts = actor.spec.header.max_restarts;
  actor.groups.clear();
  for (uint32_t limit : actor.spec.limits) actor.groups.push_back({limit, 0});
  actors_[actor.id.value] = std::move(made);
  if (!taken) {
    if (!actor.spec.key.empty()) names_[actor.spec.key] = &actor;
    return Status();
  }
  const std::string why = "The name " + quoted_name(actor.spec.key) +
                          " is already taken by a living actor. Use a different name, or get that "
                          "actor with get_actor or the option get_if_exists.";
  actor.state = ActorState::kDead;
  actor.death = encode_actor_error(SystemErrorKind::kActorDied, actor.id.value, why);
  return Status(Code::kExists, why);
}

void Node::free_name(const Actor& actor) {
  auto it = names_.find(actor.spec.key);
  if (it != names_.end() && it->second == &actor) names_.erase(it);
}

// forget_actor: nothing is left of it, neither handles nor a process.
void Node::forget_actor(Actor* actor) {
  free_name(*actor);
  if (Task* kept = std::exchange(actor->creation, nullptr)) drop_arguments(kept);
  actors_.erase(actor->id.value);
}

// admit_creation takes the constructor of an actor that was declared. From here on the task names
// the class as its function, as any worker expects it, and the actor beside it.
Result<ObjectEntry*> Node::admit_creation(Task* task) {
  ipc::TaskHeader& header = task->header;
  Actor* actor = find_actor(ObjectId{header.function});
  sched::SchedulingClass* cls = scheduler_.cls(header.scheduling_class);
  const std::vector<ObjectId>* classes = actor == nullptr || actor->entry == nullptr
                                             ? nullptr
                                             : objects_.table().contained(actor->entry);
  ObjectEntry* class_entry = classes == nullptr ? nullptr : objects_.find(classes->front());
  const Barred* barring = cls == nullptr ? barred(header.scheduling_class) : nullptr;
  if (barring != nullptr && actor != nullptr && !actor->submitted) {
    actor->submitted = true;
    Task::destroy(task_memory_, task);
    end_barred_actor(*actor, *barring);
    return nullptr;
  }
  if (cls == nullptr || !cls->dedicated || !is_function(class_entry) || actor->submitted ||
      !arguments_exist(task)) {
    Task::destroy(task_memory_, task);
    return Status(Code::kInvalid,
                  "a constructor names an actor, class or reference that does not exist");
  }
  actor->submitted = true;
  if (actor->dead()) {  // its name was taken
    Task::destroy(task_memory_, task);
    return nullptr;
  }
  header.scheduling_class = header.function;
  header.function = class_entry->id.value;
  header.returns = 0;
  header.flags = ipc::kActorCreation | (header.flags & (ipc::kTraced | ipc::kCaptures));
  task->cls = cls;
  task->function = class_entry;
  book(task, nullptr);
  actor->creation = task;
  actor->holds_itself = true;
  ++actor->entry->refs;
  if ((actor->spec.header.flags & kDetached) != 0) {
    actor->detached = true;
    ++actor->entry->refs;
  }
  if (!scheduler_.feasible(*cls)) {
    end_actor(*actor, SystemErrorKind::kActorUnschedulable,
              describe(*actor) + " needs " + scheduler_.ledger().describe(cls->need) +
                  ", and " + lack(*cls) + ". Start the runtime with more, e.g. bolide.init(resources={...}), or ask for "
                  "less in the actor's options.");
    return nullptr;
  }
  if (await_dependencies(task)) make_ready(task);
  return nullptr;
}

Result<ObjectEntry*> Node::admit_call(Task* task, WorkerLink* submitter, bool unwanted) {
  const ipc::TaskHeader& header = task->header;
  Actor* actor = find_actor(ObjectId{header.function});
  if (actor == nullptr || actor->entry == nullptr) {
    const std::string gone = encode_actor_error(
        SystemErrorKind::kActorDied, header.function,
        "The actor (id " + hex(session_) + hex(header.function) +
            ") is dead: all handles that count had gone out of scope when it was called.");
    ObjectEntry* first = fail_unbooked(header, submitter, gone);
    Task::destroy(task_memory_, task);
    return first;
  }
  const uint32_t group = ipc::group_of(header.scheduling_class);
  if (group >= actor->groups.size() || !arguments_exist(task)) {
    Task::destroy(task_memory_, task);
    return Status(Code::kInvalid,
                  "a call names a concurrency group or reference that does not exist");
  }
  const uint32_t caller = submitter == nullptr ? 1 : submitter->client.value;
  const int32_t most = actor->spec.header.max_pending_calls;
  if (most >= 0 && submitter == nullptr &&
      sched::Actors::pending(*actor, caller) >= static_cast<uint32_t>(most)) {
    const std::string name = method_name(*actor, task);
    Task::destroy(task_memory_, task);
    return Status(Code::kLimit, describe(*actor) + " has " + std::to_string(most) +
                                    " pending calls of this process, as many as max_pending_calls "
                                    "allows, so '" +
                                    name +
                                    "' was not submitted. Get some of their results first, or "
                                    "raise the limit.");
  }
  task->function = actor->entry;
  task->holds_back = (header.flags & ipc::kRetryExceptions) != 0 && header.max_retries != 0;
  ObjectEntry* first = book(task, submitter);
  if (actor->dead()) {
    fail_call(task, actor->death);
    return first;
  }
  if (unwanted) {
    fail_cancelled(task);
    return first;
  }
  const bool is_ready = await_dependencies(task);
  if (is_ready && failed_dependency(task) != nullptr) {
    fail_like(task, failed_dependency(task));
    return first;
  }
  calls_.submit(*actor, task, caller, group, is_ready);
  return first;
}

void Node::send_call(sched::Actor& actor, sched::Task& call) {
  if (memory_due_ == INT64_MAX) watch_memory_within(options_.memory_refresh);
  send_task(*static_cast<Actor&>(actor).link, static_cast<Task*>(&call), false);
}

// begin_actor: a worker has been sent the constructor.
void Node::begin_actor(WorkerLink& link, Task* creation) {
  Actor* actor = find_actor(ObjectId{creation->header.scheduling_class});
  link.actor = actor;
  link.last_function = actor->id.value;  // calls name the actor, and no function is sent for them
  actor->link = &link;
  actor->creation_out = true;
  calls_.starting(*actor, link.worker);
}

// answered: the actor's worker has run its constructor or a call. False: the task is not to be
// finished by the caller.
bool Node::answered(WorkerLink& link, Task* task, const ipc::ResultHeader& result, bool again) {
  Actor& actor = *link.actor;
  if (task != actor.creation) {
    calls_.completed(task, static_cast<Nanos>(result.duration), again);
    return !again;
  }
  actor.creation_out = false;
  scheduler_.settled(link.worker, task);
  if (!actor.dead()) calls_.alive(actor);
  const bool keep = !actor.dead() && actor.max_restarts != 0;
  if (keep) {
    --tasks_;
    ++completed_;
  } else {
    actor.creation = nullptr;
    finish(task);
  }
  if (std::exchange(actor.holds_itself, false)) objects_.release(actor.entry);
  return false;
}

// ---- questions

bool Node::is_actor_call(ObjectEntry* entry) {
  MutexLock lock(mutex_);
  return !entry->ready() && static_cast<Task*>(entry->producer)->calls != nullptr;
}

std::vector<std::byte> Node::answer(ipc::QueryKind kind, std::string_view text, ClientId asker,
                                    uint64_t* contained) {
  std::vector<std::byte> out;
  switch (kind) {
    case ipc::QueryKind::kFindActor:
      if (auto it = names_.find(std::string(text)); it != names_.end()) {
        *contained = it->second->id.value;
        append(&out, contained, sizeof *contained);
      }
      break;
    case ipc::QueryKind::kNamedActors:
      for (const auto& [key, actor] : names_) {
        const auto length = static_cast<uint32_t>(key.size());
        append(&out, &length, sizeof length);
        append(&out, key.data(), key.size());
      }
      break;
    case ipc::QueryKind::kPendingCalls: {
      uint64_t id = 0;
      if (text.size() == sizeof id) std::memcpy(&id, text.data(), sizeof id);
      const Actor* actor = find_actor(ObjectId{id});
      const uint64_t count = actor == nullptr ? 0 : sched::Actors::pending(*actor, asker.value);
      append(&out, &count, sizeof count);
      break;
    }
    case ipc::QueryKind::kResources:
      tell_resources(&out);
      break;
    case ipc::QueryKind::kAssigned:
      tell_assigned(asker, &out);
      break;
    case ipc::QueryKind::kGroups:
      tell_groups(&out);
      break;
    case ipc::QueryKind::kFindGroup:
      find_group_named(text, &out, contained);
      break;
    case ipc::QueryKind::kTasks:
    case ipc::QueryKind::kActors:
    case ipc::QueryKind::kWorkers:
      tell_state(kind, &out);
      break;
    case ipc::QueryKind::kNoteMeasures:
      measures_.note(text);
      break;
    case ipc::QueryKind::kMeasures:
      measures_.tell(&out);
      break;
    case ipc::QueryKind::kOwnGroup:
      tell_own_group(asker, &out, contained);
      break;
  }
  return out;
}

Result<ObjectEntry*> Node::query(ipc::QueryKind kind, std::string_view text) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  flush_links();  // what was just dropped may have had the name
  uint64_t contained = 0;
  const std::vector<std::byte> bytes = answer(kind, text, ClientId{1}, &contained);
  ObjectEntry* entry = objects_.add(next_ids(1), 1);
  Status held = objects_.hold_contained(entry, &contained, contained == 0 ? 0 : 1);
  BOLIDE_CHECK(held.is_ok(), "a named actor has no object");
  objects_.table().set_inline(entry, bytes.data(), bytes.size(), 0);
  return entry;
}

Status Node::on_query(WorkerLink& link, ipc::Reader& in) {
  const auto query = in.take<ipc::QueryRecord>();
  const std::byte* text = in.bytes(query.bytes);
  const ObjectId id{query.object};
  if (!in.ok() || client_of(id) != link.client || objects_.find(id) != nullptr) {
    return Status(Code::kCorrupt, "a worker sent a malformed record: a question");
  }
  uint64_t contained = 0;
  const std::vector<std::byte> bytes = answer(
      query.kind, {reinterpret_cast<const char*>(text), query.bytes}, link.client, &contained);
  ObjectEntry* entry = objects_.add(id, 1);
  link.held.insert(id.value, kHeld);
  Status held = objects_.hold_contained(entry, &contained, contained == 0 ? 0 : 1);
  if (!held.is_ok()) return held;
  objects_.table().set_inline(entry, bytes.data(), bytes.size(), 0);
  send_value(link, entry);
  return Status();
}

}  // namespace bolide::node

// node_groups: placement groups: made by their objects, named by the scheduling classes of tasks
// and actors, removed with what runs in them. Which room they get is in sched/groups.cpp.
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "node/node.h"
#include "node/refusals.h"
#include "os/process.h"

namespace bolide::node {
namespace {

void append(std::vector<std::byte>* out, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out->insert(out->end(), bytes, bytes + size);
}

}  // namespace

PlacementGroup* Node::find_group(ObjectId id) {
  auto it = groups_.find(id.value);
  return it == groups_.end() ? nullptr : it->second.get();
}

std::string Node::describe(const PlacementGroup& group) const {
  char id[37];
  std::snprintf(id, sizeof id, "%016llx%020llx", static_cast<unsigned long long>(session_),
                static_cast<unsigned long long>(group.id.value));
  const std::string& key = group.spec.key;
  std::string text = "placement group ";
  if (!key.empty()) text.append("'").append(key, key.find('\0') + 1).append("' ");
  return text.append("(id ").append(id).append(")");
}

// declare_group: the object of a group has its value.
Status Node::declare_group(ObjectEntry* entry) {
  const store::ValueBytes value = bytes_of(entry);
  auto spec = parse_group_spec(value.data, value.size);
  if (!spec.is_ok()) return spec.status().clone();
  auto made = std::make_unique<PlacementGroup>();
  PlacementGroup& group = *made;
  group.id = entry->id;
  group.spec = spec.take();
  group.value.assign(reinterpret_cast<const char*>(value.data), value.size);
  group.entry = entry;
  ++entry->refs;
  std::vector<sched::Need> needs;
  for (const auto& bundle : group.spec.bundles) needs.push_back(need_of(bundle));
  const bool one_node =
      group.spec.strategy != PlacementStrategy::kStrictSpread || needs.size() == 1;
  group.plan = scheduler_.add_group(needs, one_node);
  if (group.plan->state == sched::GroupState::kImpossible) warn_impossible(group, one_node);
  groups_[group.id.value] = std::move(made);
  scheduler_.dispatch(coarse_now_);
  return Status();
}

void Node::warn_impossible(const PlacementGroup& group, bool one_node) {
  const std::string count = std::to_string(group.spec.bundles.size());
  const sched::Ledger& ledger = scheduler_.ledger();
  const sched::Need& need = group.plan->claim.need;
  std::string text = "The " + describe(group);
  if (!one_node) {
    text += " can never be placed: STRICT_SPREAD wants a node for each of its " + count +
            " bundles, and there is one node. Use SPREAD, which prefers that, or PACK.";
  } else {
    const std::string lack = ledger.missing(need);
    text += " needs " + ledger.describe(need) + " in " + count +
            (count == "1" ? " bundle" : " bundles") + " and can never be placed on this node" +
            (lack.empty() ? ": no way to share out its GPUs will do"
                          : ": it lacks " + lack) +
            ". Start the runtime with more (num_cpus, num_gpus or resources of bolide.init), or "
            "ask for less.";
  }
  warnings_.push_back(std::move(text));
  service_->push(0);
}

// ---- what cannot run

void Node::fail_barred(Task* task, const Barred& why) {
  if (why.kind == SystemErrorKind::kTaskGroupRemoved) {
    fail_removed(task, why.text);
  } else {
    fail(task, why.kind, std::string("'").append(task_name(task)) + "': " + why.text + ".");
  }
}

// fail_ungrouped: the task was running when its group was removed, of which nothing may be left.
void Node::fail_ungrouped(Task* task) {
  const Barred* why = barred(task->header.scheduling_class);
  fail_removed(task, why == nullptr ? "its placement group" : why->text);
}

void Node::fail_removed(Task* task, const std::string& group) {
  fail(task, SystemErrorKind::kTaskGroupRemoved,
       "The task '" + task_name(task) + "' cannot run: " + group +
           " was removed by remove_placement_group(). Keep the group until its results are there.");
}

void Node::end_barred_actor(Actor& actor, const Barred& why) {
  if (why.kind == SystemErrorKind::kTaskGroupRemoved) {
    end_removed(actor, why.text);
  } else {
    end_actor(actor, SystemErrorKind::kActorUnschedulable, describe(actor) + ": " + why.text + ".");
  }
}

void Node::end_removed(Actor& actor, const std::string& group) {
  end_actor(actor, SystemErrorKind::kActorGroupRemoved,
            describe(actor) + " is dead: " + group +
                " was removed by remove_placement_group(). Keep the group as long as the actor.");
}

// ---- the end

Status Node::remove_group(ObjectId id) {
  MutexLock lock(mutex_);
  if (closed_) return closed_status();
  drain_releases();
  coarse_now_ = now();
  if (PlacementGroup* group = find_group(id)) remove_group(*group);
  flush_links();
  refresh_bell();
  return Status();
}

Status Node::on_remove_group(WorkerLink&, ipc::Reader& in) {
  const auto record = in.take<ipc::GroupRecord>();
  if (!in.ok()) return malformed("the end of a placement group");
  if (PlacementGroup* group = find_group(ObjectId{record.group})) remove_group(*group);
  return Status();
}

// remove_group ends what waits and what runs in the group. Its room comes back when the last of
// its processes has ended.
void Node::remove_group(PlacementGroup& group) {
  if (group.plan == nullptr) return;
  sched::Group* plan = std::exchange(group.plan, nullptr);
  const std::string text = "the " + describe(group);
  for (uint64_t key : group.classes) bar(key, {SystemErrorKind::kTaskGroupRemoved, text});
  std::vector<Task*> tasks;
  for (Task* task : unfinished_tasks()) {
    const bool ours = task->cls != nullptr && task->cls->group == plan;
    if (ours && (task->header.flags & ipc::kActorCreation) == 0) tasks.push_back(task);
  }
  // First all are withdrawn and then they fail: the failure of one ends those that wait for it.
  std::erase_if(tasks, [this](Task* task) {
    if (withdraw(task)) return false;
    task->ungrouped = true;
    return true;
  });
  // A worker that had begun none of its tasks is free by now, and may live.
  std::vector<int> pids;
  for (const auto& [worker, link] : links_) {
    const sched::SchedulingClass* cls = link->worker.cls;
    if (cls != nullptr && cls->group == plan && link->pid > 0) pids.push_back(link->pid);
  }
  std::vector<Actor*> actors;
  for (const auto& [id, actor] : actors_) {
    const sched::SchedulingClass* cls = actor->link != nullptr      ? actor->link->worker.cls
                                        : actor->creation != nullptr ? actor->creation->cls
                                                                     : nullptr;
    if (cls != nullptr && cls->group == plan && !actor->dead()) actors.push_back(actor.get());
  }
  // Held meanwhile: what one of them held may have been the last handle of another.
  for (Actor* actor : actors) {
    if (actor->entry != nullptr) ++actor->entry->refs;
  }
  for (Actor* actor : actors) {
    ObjectEntry* entry = actor->entry;
    end_removed(*actor, text);
    if (entry != nullptr) objects_.release(entry);
  }
  scheduler_.remove_group(plan);
  for (Task* task : tasks) fail_removed(task, text);
  for (int pid : pids) os::kill_group(pid, SIGKILL);
  objects_.release(group.entry);
  scheduler_.dispatch(coarse_now_);
  rouse_leader();
}

// group_freed: it was removed, and no handle is left that could name it.
void Node::group_freed(ObjectId id) {
  auto it = groups_.find(id.value);
  if (it == groups_.end()) return;  // its value was malformed
  for (uint64_t key : it->second->classes) barred_.erase(key);
  groups_.erase(it);
}

// ---- questions

void Node::tell_groups(std::vector<std::byte>* out) const {
  for (const auto& [id, group] : groups_) {
    const uint32_t state = static_cast<uint32_t>(
        group->plan == nullptr ? sched::GroupState::kRemoved : group->plan->state);
    const auto size = static_cast<uint32_t>(group->value.size());
    append(out, &id, sizeof id);
    append(out, &state, sizeof state);
    append(out, &size, sizeof size);
    append(out, group->value.data(), size);
  }
}

// tell_own_group: the group and bundle in which the asker's task or actor runs, if it does.
void Node::tell_own_group(ClientId asker, std::vector<std::byte>* out, uint64_t* contained) const {
  const WorkerLink* link = link_of(asker.value - 1);
  const sched::SchedulingClass* cls = link == nullptr ? nullptr : link->worker.cls;
  if (cls == nullptr || cls->group == nullptr) return;
  for (const auto& [id, group] : groups_) {
    if (group->plan == cls->group) find_own(*group, out, contained);
  }
}

void Node::find_group_named(std::string_view key, std::vector<std::byte>* out,
                            uint64_t* contained) const {
  for (const auto& [id, group] : groups_) {
    if (group->plan != nullptr && group->spec.key == key) {
      find_own(*group, out, contained);
      return;
    }
  }
}

void Node::find_own(const PlacementGroup& group, std::vector<std::byte>* out,
                    uint64_t* contained) const {
  *contained = group.id.value;
  append(out, contained, sizeof *contained);
  append(out, group.value.data(), group.value.size());
}

}  // namespace bolide::node

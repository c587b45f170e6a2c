// node_classes: scheduling classes, as clients define them: what their tasks need, in which placement
// group, and those whose tasks can never run.
#include <algorithm>

#include "node/node.h"
#include "node/refusals.h"

namespace bolide::node {
namespace {

// A resource whose name begins like this is a node that is not here: bolide/_labels.py.
constexpr std::string_view kOtherNode = "the node with id ";

}  // namespace

Status Node::define_class(uint64_t key, Quantities need, const Quantities* kept,
                          const EnvironmentName& environment, GroupPlace place) {
  MutexLock lock(mutex_);
  return define(key, need, kept, environment, place);
}

sched::Need Node::need_of(Quantities quantities) {
  sched::Need need;
  for (const auto& [name, amount] : quantities) {
    need.push_back({scheduler_.ledger().intern(name), amount});
  }
  std::sort(need.begin(), need.end(),
            [](const auto& a, const auto& b) { return a.resource < b.resource; });
  return need;
}

Status Node::define(uint64_t key, Quantities need, const Quantities* kept,
                    const EnvironmentName& environment, GroupPlace place) {
  if (scheduler_.cls(key) != nullptr || barred(key) != nullptr) return Status();
  if (bar_if_hopeless(key, need, place)) return Status();
  Status named = place.group == 0 ? Status() : check_place(place);
  if (!named.is_ok()) return named;
  sched::SchedulingClass* made =
      kept == nullptr ? scheduler_.define(key, need_of(need))
                      : scheduler_.define_dedicated(key, need_of(need), need_of(*kept));
  sched::Scheduler::belongs(*made, define_environment(environment));
  if (place.group != 0) define_in_group(made, place);
  return Status();
}

Status Node::on_define_class(WorkerLink&, ipc::Reader& in) {
  const auto header = in.take<ipc::ClassHeader>();
  const auto* description = reinterpret_cast<const char*>(in.bytes(header.environment_bytes));
  if (!in.ok() || header.entries > 1024) return malformed("a scheduling class");
  const uint32_t kept_entries = header.kept == ipc::kPooled ? 0 : header.kept;
  if (kept_entries > 1024) return malformed("a scheduling class");
  std::vector<std::pair<std::string, int64_t>> need;
  std::vector<std::pair<std::string, int64_t>> kept;
  for (uint32_t i = 0; i < header.entries + kept_entries; ++i) {
    const auto entry = in.take<ipc::ResourceEntry>();
    const std::byte* name = in.bytes(entry.name_bytes);
    if (!in.ok() || entry.amount <= 0) return malformed("a scheduling class");
    (i < header.entries ? need : kept)
        .emplace_back(std::string(reinterpret_cast<const char*>(name), entry.name_bytes),
                      entry.amount);
  }
  const Quantities keeps = kept;
  const std::string_view environment(description, header.environment_bytes);
  return define(header.scheduling_class, need, header.kept == ipc::kPooled ? nullptr : &keeps,
                {header.environment, environment}, {header.group, header.bundle});
}

// bar: tasks of the class with this key fail, as `why` says.
void Node::bar(uint64_t key, Barred why) { barred_.insert_or_assign(key, std::move(why)); }

const Node::Barred* Node::barred(uint64_t key) const {
  auto it = barred_.find(key);
  return it == barred_.end() ? nullptr : &it->second;
}

Status Node::check_place(GroupPlace place) {
  const PlacementGroup* group = find_group(ObjectId{place.group});
  if (group == nullptr || place.bundle < -1 ||
      place.bundle >= static_cast<int64_t>(group->spec.bundles.size())) {
    return Status(Code::kInvalid, "a scheduling class names a placement group or a bundle that "
                                  "does not exist");
  }
  return Status();
}

void Node::define_in_group(sched::SchedulingClass* made, GroupPlace place) {
  PlacementGroup* group = find_group(ObjectId{place.group});
  scheduler_.join(made, group->plan, place.bundle);
  group->classes.push_back(made->key);
}

// bar_if_hopeless: the class is on another node, or was defined after the end of its group.
bool Node::bar_if_hopeless(uint64_t key, Quantities need, GroupPlace place) {
  for (const auto& [name, amount] : need) {
    if (!name.starts_with(kOtherNode)) continue;
    bar(key, {SystemErrorKind::kUnschedulable,
              "it is to run on " + name + " (NodeAffinitySchedulingStrategy), which is not here. "
              "Take an id that bolide.nodes() tells, or soft=True"});
    return true;
  }
  PlacementGroup* group = find_group(ObjectId{place.group});
  if (group == nullptr || group->plan != nullptr) return false;
  bar(key, {SystemErrorKind::kTaskGroupRemoved, "the " + describe(*group)});
  group->classes.push_back(key);
  return true;
}

// lack tells what there is not for a class that is not feasible.
std::string Node::lack(const sched::SchedulingClass& cls) const {
  const sched::Ledger& ledger = scheduler_.ledger();
  if (cls.group == nullptr) return "this node lacks " + ledger.missing(cls.need);
  if (cls.group->state == sched::GroupState::kImpossible) {
    return "its placement group can never be placed";
  }
  if (cls.bundle < 0) return "no bundle of its placement group has that much";
  return "its bundle lacks " +
         ledger.missing(cls.need, cls.group->bundles[static_cast<size_t>(cls.bundle)].room,
                        "the bundle");
}

}  // namespace bolide::node

// node_state: what tasks, actors and workers there are now, for those who look (util.state). What
// there is of objects is in node_inspect.cpp.
#include "node/node.h"
#include "os/process.h"

namespace bolide::node {
namespace {

// What a list may have: a look must not take the memory that the things themselves take.
constexpr size_t kMost = 10'000;

class Told {
 public:
  explicit Told(std::vector<std::byte>* out) : out_(out) {}

  template <class T>
  Told& number(T value) {
    return bytes(&value, sizeof value);
  }
  Told& text(std::string_view text) {
    number(static_cast<uint32_t>(text.size()));
    return bytes(text.data(), text.size());
  }

 private:
  Told& bytes(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    out_->insert(out_->end(), from, from + size);
    return *this;
  }

  std::vector<std::byte>* out_;
};

}  // namespace

// tell_state: of each thing of that kind what bolide.util.state reads, packed without padding.
void Node::tell_state(ipc::QueryKind kind, std::vector<std::byte>* out) {
  switch (kind) {
    case ipc::QueryKind::kTasks:
      tell_tasks(out);
      break;
    case ipc::QueryKind::kActors:
      tell_actors(out);
      break;
    default:
      tell_workers(out);
      break;
  }
}

// uint64 id, uint64 parent, uint64 actor or 0, int32 pid or 0, uint32 attempt, uint32 flags, uint32
// state (sched::TaskState, 3: it runs), text name.
void Node::tell_tasks(std::vector<std::byte>* out) {
  size_t told = 0;
  for (Task* task : unfinished_tasks()) {
    const bool call = (task->header.flags & ipc::kActorCall) != 0;
    const bool creation = (task->header.flags & ipc::kActorCreation) != 0;
    const Actor* actor = call       ? find_actor(ObjectId{task->header.function})
                         : creation ? find_actor(ObjectId{task->header.scheduling_class})
                                    : nullptr;
    // A constructor that has ended is kept for a restart.
    if (creation && actor != nullptr && actor->state == sched::ActorState::kAlive) continue;
    if (++told > kMost) return;
    const bool assigned = task->state == sched::TaskState::kAssigned && task->worker != nullptr;
    WorkerLink* link = assigned ? link_of(*task->worker) : nullptr;
    if (task->calls != nullptr) link = static_cast<Actor*>(task->calls->actor)->link;
    const WorkerLink::Outstanding* sent = link == nullptr ? nullptr : link->find_task(task);
    uint32_t state = static_cast<uint32_t>(task->state);
    if (sent != nullptr && link->started(*sent)) state = 3;
    std::string name = task_name(task);
    if (call && actor != nullptr) name = actor->spec.class_name + "." + method_name(*actor, task);
    Told(out)
        .number(task->header.task)
        .number(task->parent)
        .number(call ? task->header.function : creation ? task->header.scheduling_class : 0)
        .number(static_cast<int32_t>(sent == nullptr ? 0 : link->pid))
        .number(task->header.attempt)
        .number(task->header.flags)
        .number(state)
        .text(name);
  }
}

// uint64 id, int32 pid or 0, uint32 restarts, uint32 sched::ActorState, uint32 is it detached,
// text class, text key of its name, text why it is dead.
void Node::tell_actors(std::vector<std::byte>* out) {
  size_t told = 0;
  for (const auto& [id, actor] : actors_) {
    if (++told > kMost) return;
    Told(out)
        .number(id)
        .number(static_cast<int32_t>(actor->link == nullptr ? 0 : actor->link->pid))
        .number(actor->restarts)
        .number(static_cast<uint32_t>(actor->state))
        .number(uint32_t{(actor->spec.header.flags & kDetached) != 0})
        .text(actor->spec.class_name)
        .text(actor->spec.key)
        .text(actor->death.empty() ? std::string_view() : system_error_text(actor->death));
  }
}

// int32 pid, uint32 sched::WorkerState; the driver first, which has none.
void Node::tell_workers(std::vector<std::byte>* out) {
  Told(out).number(static_cast<int32_t>(os::own_pid())).number(UINT32_MAX);
  for (const auto& [id, link] : links_) {
    if (!link->hello) continue;
    Told(out)
        .number(static_cast<int32_t>(link->pid))
        .number(static_cast<uint32_t>(link->worker.state));
  }
}

}  // namespace bolide::node

// sim_node: what the driver calls, the pump's steps and deaths. As in node_client.cpp,
// node_pump.cpp, node.cpp and supervisor.cpp of cpp/node.
#include "simulator/sim_node.h"

#include <algorithm>

#include "simulator/oracle.h"

namespace simulator {

namespace {
constexpr ClientId kDriver{1};
}

SimNode::SimNode(const NodeSettings& settings, Host& host)
    : host_(host), objects_(settings.budget, *this), scheduler_(settings.policy, *this) {
  scheduler_.ledger().set_total(sched::kCpu,
                                static_cast<sched::Amount>(settings.cpus * sched::kUnit));
  scheduler_.ledger().set_total(scheduler_.ledger().intern("disk"), 2 * sched::kUnit);
}

SimNode::~SimNode() {
  // After a failure tasks may be left.
  for (const auto& [id, link] : links_) {
    for (const auto& entry : link->outstanding) Task::destroy(entry.task);
  }
  std::vector<Task*> waiting(settled_);
  for (const auto& [id, tasks] : dependents_) waiting.insert(waiting.end(), tasks.begin(), tasks.end());
  scheduler_.for_each_queued([&](sched::Task* task) { waiting.push_back(static_cast<Task*>(task)); });
  std::sort(waiting.begin(), waiting.end());
  waiting.erase(std::unique(waiting.begin(), waiting.end()), waiting.end());
  for (Task* task : waiting) Task::destroy(task);
}

// ---- the driver

ObjectId SimNode::next_ids(uint32_t count) {
  const ObjectId id = make_object_id(kDriver, next_counter_);
  next_counter_ += count;
  return id;
}

ObjectEntry* SimNode::submit(ObjectId id, const Submit& request) {
  ipc::TaskHeader header{};
  header.task = id.value;
  header.function = request.function;
  header.scheduling_class = request.cls;
  header.dependencies = static_cast<uint32_t>(request.dependencies.size());
  header.contained = static_cast<uint32_t>(request.contained.size());
  header.argument_bytes = static_cast<uint32_t>(request.arguments.size());
  header.returns = request.returns;
  header.max_retries = request.max_retries;
  Task* task = Task::make(header);
  ipc::Writer body(task->body());
  body.bytes(request.dependencies.data(), request.dependencies.size_bytes());
  body.bytes(request.contained.data(), request.contained.size_bytes());
  body.bytes(request.arguments.data(), request.arguments.size());
  drain_releases();
  auto first = admit(task, nullptr);
  if (!first.is_ok()) fail("the driver's task was refused: %s", first.status().message().c_str());
  flush_links();
  return *first;
}

ObjectEntry* SimNode::put_inline(ObjectId id, std::span<const std::byte> value,
                                 std::span<const uint64_t> contained, uint8_t flags) {
  drain_releases();
  ObjectEntry* entry = objects_.add(id, 1);
  objects_.table().set_inline(entry, value.data(), value.size(), flags);
  const Status held = objects_.hold_contained(entry, contained.data(),
                                              static_cast<uint32_t>(contained.size()));
  if (!held.is_ok()) fail("the driver's put was refused: %s", held.message().c_str());
  return entry;
}

Status SimNode::try_reserve(uint64_t size, bool control, store::Slot* slot) {
  for (;;) {
    if (auto found = arena_.allocate(size)) {
      *slot = *found;
      return Status();
    }
    auto grant = objects_.registry().grant(kDriver, arena_.chunk_size_for(size), size, control);
    if (!grant.is_ok()) return grant.status().clone();
    const os::Fd& fd = *objects_.registry().fd(grant->id);
    const Status added = arena_.add_chunk(grant->id, fd, grant->size);
    if (!added.is_ok()) return added.clone();
  }
}

std::optional<store::Slot> SimNode::reserve(uint64_t size) {
  drain_releases();
  store::Slot slot;
  for (int turn = 0; turn < 2; ++turn) {
    const Status tried = try_reserve(size, false, &slot);
    if (tried.is_ok()) {
      space_wanted_ = false;
      return slot;
    }
    if (tried.code() != Code::kFull) fail("no room: %s", tried.message().c_str());
    if (close_chunks(arena_.give_back_all_empty()) == 0) break;
  }
  space_wanted_ = true;
  return std::nullopt;
}

ObjectEntry* SimNode::put_stored(ObjectId id, const store::Slot& slot,
                                 std::span<const uint64_t> contained) {
  ObjectEntry* entry = objects_.add(id, 1);
  const Status sealed = objects_.seal(entry, slot.where, kDriver, 0);
  if (!sealed.is_ok()) fail("the driver's put was refused: %s", sealed.message().c_str());
  const Status held = objects_.hold_contained(entry, contained.data(),
                                              static_cast<uint32_t>(contained.size()));
  if (!held.is_ok()) fail("the driver's put was refused: %s", held.message().c_str());
  return entry;
}

ObjectEntry* SimNode::acquire(uint64_t id) {
  ObjectEntry* entry = objects_.find(ObjectId{id});
  if (entry == nullptr) fail("object %lx is gone although its container is there", id);
  ++entry->refs;
  return entry;
}

store::ValueBytes SimNode::value(ObjectEntry* entry) {
  if (entry->holding != store::Holding::kStored) return store::ObjectTable::inline_value(entry);
  return {resolve(entry->where), entry->where.size};
}

const std::byte* SimNode::resolve(const Location& where) {
  if (const std::byte* found = views_.resolve(where)) return found;
  const os::Fd* fd = objects_.registry().fd(where.chunk);
  if (fd == nullptr) return nullptr;
  const Status added = views_.add(where.chunk, *fd, objects_.registry().size(where.chunk));
  return added.is_ok() ? views_.resolve(where) : nullptr;
}

void SimNode::define(uint64_t key, const std::vector<std::pair<std::string, double>>& need) {
  sched::Need quantities;
  for (const auto& [name, amount] : need) {
    quantities.push_back({scheduler_.ledger().intern(name),
                          static_cast<sched::Amount>(amount * sched::kUnit)});
  }
  scheduler_.define(key, std::move(quantities));
}

// ---- the pump

bool SimNode::drain() {
  coarse_now_ = host_.now();
  drain_releases();
  bool found = false;
  std::vector<WorkerLink*> links;
  for (const auto& [id, link] : links_) links.push_back(link.get());
  for (WorkerLink* link : links) {
    if (!link->looks_empty()) found |= drain_link(*link);
  }
  scheduler_.dispatch(coarse_now_);
  flush_links();
  return found;
}

bool SimNode::looks_empty() const {
  return std::all_of(links_.begin(), links_.end(),
                     [](const auto& link) { return link.second->looks_empty(); });
}

void SimNode::drain_releases() {
  std::vector<ObjectEntry*> released;
  released.swap(released_);
  for (ObjectEntry* entry : released) objects_.release(entry);
}

void SimNode::flush_links() {
  for (WorkerLink* link : dirty_) link->flush();
  std::erase_if(dirty_, [](WorkerLink* link) { return !link->has_overflow(); });
}

ipc::Urgency SimNode::background_urgency() const {
  if (space_wanted_) return ipc::Urgency::kAlways;
  if (scheduler_.ready() > 0 || !dependents_.empty()) return ipc::Urgency::kWhenEmpty;
  return ipc::Urgency::kWhenSleeping;
}

void SimNode::set_bell(bool waits) {
  asked_in_background_ = waits ? ipc::Urgency::kAlways : background_urgency();
  bell_.set(waits ? ipc::Urgency::kAlways : background_urgency(),
            waits ? ipc::Bell::kWaiter : ipc::Bell::kSupervisor);
}

void SimNode::raise_bell() {
  if (background_urgency() > asked_in_background_) set_bell(false);
}

Nanos SimNode::next_look() {
  const Nanos time = host_.now();
  Nanos until = scheduler_.next_look(time).value_or(INT64_MAX);
  if (const auto trim = arena_.next_trim(time)) until = std::min(until, *trim);
  if (!dirty_.empty()) until = std::min(until, time + kMillisecond);
  return until;
}

void SimNode::look_after() {
  close_chunks(arena_.trim(host_.now()));
  flush_links();
}

size_t SimNode::close_chunks(const std::vector<ChunkId>& chunks) {
  for (ChunkId chunk : chunks) {
    objects_.registry().close(chunk);
    chunk_closed(chunk);
  }
  return chunks.size();
}

// ---- workers

void SimNode::start_worker() {
  const uint32_t worker = next_worker_++;
  scheduler_.worker_starting();
  ipc::LinkHeader header{};
  header.magic = ipc::kLinkMagic;
  header.version = ipc::kLinkVersion;
  header.worker = worker;
  header.client = worker + 1;
  auto made = WorkerLink::make(header);
  if (!made.is_ok()) fail("no link: %s", made.status().message().c_str());
  WorkerLink* link = made->get();
  links_[worker] = made.take();
  host_.trace("node: starts worker %u", worker);
  host_.fork_worker(*link);
}

void SimNode::retire(sched::Worker& worker) {
  auto& link = *static_cast<WorkerLink*>(worker.owner);
  link.retiring = true;
  link.send(ipc::RecordType::kShutdown, 0, [](std::byte*) {});
  mark_dirty(link);
}

void SimNode::remove_link(WorkerLink* link) {
  std::erase(dirty_, link);
  links_.erase(link->worker.id.value);
}

void SimNode::worker_exited(uint32_t worker) {
  WorkerLink* link = link_of(worker);
  if (link == nullptr) return;
  coarse_now_ = host_.now();
  while (drain_link(*link)) {
  }
  if (!link->hello && !link->retiring) ++failed_starts_;
  auto outstanding = std::move(link->outstanding);
  link->outstanding.clear();
  std::vector<Task*> lost;
  for (size_t i = outstanding.size(); i-- > 0;) {
    Task* task = outstanding[i].task;
    scheduler_.abandon(link->worker, task);
    if (link->started(outstanding[i])) {
      lost.push_back(task);
    } else {
      scheduler_.resubmit(task);
    }
  }
  scheduler_.worker_gone(link->worker);
  for (Task* task : lost) task_lost(task);
  // bury
  link->held.for_each([&](uint64_t id, uint32_t) { objects_.release(objects_.find(ObjectId{id})); });
  link->held.clear();
  for (const Location& span : link->jumbo_spans) arena_.free(span);
  const ClientId client = link->client;
  remove_link(link);
  for (ChunkId chunk : objects_.registry().orphan(client)) chunk_closed(chunk);
  if (failed_starts_ >= 5) {
    fail_all_ready();
    failed_starts_ = 0;
  }
  scheduler_.dispatch(coarse_now_);
  flush_links();
}

void SimNode::pester(Random& random) {
  std::vector<WorkerLink*> leased;
  for (const auto& [id, link] : links_) {
    if (link->worker.state == sched::WorkerState::kLeased && link->worker.blocked == 0) {
      leased.push_back(link.get());
    }
  }
  if (leased.empty()) return;
  WorkerLink* link = leased[random.below(leased.size())];
  take_back(link->worker);
  if (random.one_in(3)) take_back(link->worker);
  scheduler_.dispatch(host_.now());
  flush_links();
}

void SimNode::retire_idle() {
  for (const auto& [id, link] : links_) {
    if (link->worker.state != sched::WorkerState::kIdle) continue;
    scheduler_.worker_gone(link->worker);
    retire(link->worker);
  }
  flush_links();
}

}  // namespace simulator

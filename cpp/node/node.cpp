// node: making it, its workers' processes, stopping it, and what it tells about itself.
#include "node/node.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <unordered_set>

#include "os/cpu.h"
#include "os/pipe.h"
#include "os/process.h"

namespace bolide::node {
namespace {

constexpr Nanos kStopWithin = 2 * kSecond;

sched::Policy policy_for(const NodeOptions& options) {
  sched::Policy policy;
  policy.cores = os::usable_cores();
  const double cpus = std::max(1.0, options.num_cpus);
  policy.max_blocked = std::max<uint32_t>(
      options.max_blocked_per_core, static_cast<uint32_t>(cpus * options.max_blocked_per_core));
  policy.max_zero_cpu = std::max<uint32_t>(32, 8 * static_cast<uint32_t>(policy.cores));
  return policy;
}

sched::Amount amount_of(double quantity) {
  return static_cast<sched::Amount>(quantity * sched::kUnit + 0.5);
}

// settings_for_fork puts what a worker is to apply where it can read it.
Result<os::Fd> settings_for_fork(std::string_view settings) {
  const size_t size = std::max<size_t>(1, settings.size());
  auto memfd = os::create_memfd("settings", size);
  if (!memfd.is_ok()) return memfd;
  auto mapping = os::Mapping::map(*memfd, size, os::Access::kReadWrite);
  if (!mapping.is_ok()) return mapping.status().clone();
  std::memcpy(mapping->data(), settings.data(), settings.size());
  return memfd;
}

// With more of them, those that copy would take turns on the cores.
int io_threads() {
  return std::clamp(os::usable_cores(), 2, 4);
}

}  // namespace

Node::Node(NodeOptions options)
    : Client(os::usable_cores() > 1 ? options.max_spin : 0),
      options_(std::move(options)),
      objects_(options_.object_store_memory, *this),
      io_(io_threads()),
      mover_(mutex_, objects_, views_, io_, *this),
      spill_files_(options_.spill_directory, io_threads()),
      spiller_(mutex_, objects_, io_, mover_, *this, *this),
      loans_(options_.object_store_memory, options_.num_cpus),
      scheduler_(policy_for(options_), *this),
      polled_(std::make_unique<std::atomic<WorkerLink*>[]>(kMaxWorkers)) {
  inline_limit_ = options_.inline_limit;
  add_environment(scheduler_.home(), {}).settings = options_.settings;
  scheduler_.ledger().set_total(sched::kCpu, amount_of(options_.num_cpus));
  for (const auto& [name, quantity] : options_.resources) {
    scheduler_.ledger().set_total(scheduler_.ledger().intern(name), amount_of(quantity));
  }
  std::random_device random;
  session_ = (uint64_t{random()} << 32 | random()) | 1;
}

Result<std::unique_ptr<Node>> Node::start(NodeOptions options) {
  std::unique_ptr<Node> node(new Node(std::move(options)));
  Status opened = node->open();
  if (!opened.is_ok()) return opened;
  return node;
}

Status Node::open() {
  auto memfd = os::create_memfd("bell", sizeof(ipc::BellPage));
  if (!memfd.is_ok()) return memfd.status().clone();
  auto mapping = os::Mapping::map(*memfd, sizeof(ipc::BellPage), os::Access::kReadWrite);
  if (!mapping.is_ok()) return mapping.status().clone();
  bell_memfd_ = memfd.take();
  bell_memory_ = mapping.take();
  auto* page = reinterpret_cast<ipc::BellPage*>(bell_memory_.data());
  page->magic = ipc::kBellMagic;
  page->version = 1;
  auto inquiries = os::make_pipe();
  if (!inquiries.is_ok()) return inquiries.status().clone();
  inquiry_pipe_[0] = std::move(inquiries->first);
  inquiry_pipe_[1] = std::move(inquiries->second);
  page->node_pid = os::own_pid();
  page->inquiry_fd = inquiry_pipe_[1].get();
  bell_ = ipc::BellWriter(page);
  for (os::Event* event : {&attention_event_, &waiter_event_, &supervisor_event_}) {
    auto made = os::Event::create();
    if (!made.is_ok()) return made.status().clone();
    *event = made.take();
  }
  auto service = CompletionQueue::create();
  if (!service.is_ok()) return service.status().clone();
  service_ = service.take();
  for (int i : {0, 1}) {
    auto pipe = os::make_pipe();
    if (!pipe.is_ok()) return pipe.status().clone();
    output_pipes_[i] = std::move(pipe->first);
    output_writers_[i] = std::move(pipe->second);
  }
  if (options_.command.argv.empty()) {
    scheduler_.close(scheduler_.home());
  } else {
    Environment& home = *environments_.front();
    home.origin = &template_of(options_.command);
    Status started = start_template(*home.origin);
    if (!started.is_ok()) return started;
  }
  auto thread = os::start_thread("bolide-node", [this] { supervise(); });
  if (!thread.is_ok()) return thread.status().clone();
  supervisor_ = thread.take();
  opened_ = true;
  return Status();
}

Node::~Node() { stop(); }

void Node::stop() {
  if (forked_) return;
  if (!opened_) {
    for (const auto& origin : templates_) origin->link.stop(now() + kStopWithin);
    return;
  }
  {
    MutexLock lock(mutex_);
    if (stopping_.exchange(true)) return;
    closed_ = true;
    wake_everybody();
    if (service_ != nullptr) {  // it is made last of the three; a start that failed may lack it
      waiter_event_.ring();
      supervisor_event_.ring();
      service_->push(0);
    }
    for (const auto& [id, link] : links_) {
      if (link->pid > 0) os::kill_group(link->pid, SIGKILL);
    }
    for (auto& [id, watchers] : watchers_) {
      // Gone afterwards: a result that is read still must not push the token again.
      std::erase_if(watchers, [](const Watcher& watcher) {
        if (watcher.kind != Watcher::Kind::kQueue) return false;
        watcher.queue->push(watcher.token);
        return true;
      });
    }
  }
  supervisor_.join();
  crew_.stop();
  // The templates kill and reap what is left, also workers whose pid we never learned.
  for (const auto& origin : templates_) origin->link.stop(now() + kStopWithin);
  io_.stop();
  MutexLock lock(mutex_);
  const bool alone = await_waiters(lock);
  for (int i : {0, 1}) {
    read_output(i);
    if (!partial_[i].empty()) add_output(static_cast<uint32_t>(i) + 1, 0, partial_[i]);
    partial_[i].clear();
  }
  for (const auto& [id, link] : links_) drain_output(*link);
  const std::vector<Task*> tasks = unfinished_tasks();
  while (polled_count_.load(std::memory_order_relaxed) > 0) {  // written under the lock
    bury(polled_[0].load(std::memory_order_relaxed));
  }
  if (alone) buried_.clear();
  watchers_.clear();
  dependents_.clear();
  settled_.clear();
  starved_.clear();
  held_back_.clear();
  close_streams();
  spiller_.close();
  spill_files_.close();
  for (Task* task : tasks) drop_task(task);
  tasks_ = 0;
  unreferenced_.clear();
  names_.clear();
  actors_.clear();
  groups_.clear();
  drain_releases();
  close_chunks(arena_.give_back_all_empty());
  if (alone) close_descriptors();
}

// await_waiters: threads that wait are on their way out; until then they poll rings and sleep on
// descriptors. False if one is still there after a while.
bool Node::await_waiters(MutexLock& lock) {
  const Nanos deadline = now() + kStopWithin;
  while (waiting_threads_ > 0 || space_wanted_ > 0) {
    if (now() > deadline) return false;
    wake_everybody();
    waiter_event_.ring();
    lock.unlock();
    os::poll_fds(nullptr, 0, kMillisecond / 10);
    lock.lock();
  }
  return true;
}

// close_descriptors: references may keep this object for long, but not what the system counts.
void Node::close_descriptors() {
  {
    MutexLock release_lock(release_mutex_);
    quiet_ = true;
    supervisor_event_ = os::Event();
  }
  waiter_event_ = os::Event();
  attention_event_ = os::Event();
  bell_ = ipc::BellWriter();
  bell_memory_ = os::Mapping();
  bell_memfd_.reset();
  for (int i : {0, 1}) {
    output_pipes_[i].reset();
    output_writers_[i].reset();
    inquiry_pipe_[i].reset();
  }
}

// unfinished_tasks are those that will never end.
std::vector<Task*> Node::unfinished_tasks() {
  std::unordered_set<Task*> tasks(settled_.begin(), settled_.end());
  for (const Starved& each : starved_) tasks.insert(each.task);
  tasks.insert(held_back_.begin(), held_back_.end());
  for (const auto& [id, link] : links_) {
    for (const auto& entry : link->outstanding) tasks.insert(entry.task);
  }
  for (const auto& [id, waiting] : dependents_) tasks.insert(waiting.begin(), waiting.end());
  scheduler_.for_each_queued([&](sched::Task* task) { tasks.insert(static_cast<Task*>(task)); });
  for (const auto& [id, actor] : actors_) {
    sched::Actors::for_each_held(
        *actor, [&](sched::Task* call) { tasks.insert(static_cast<Task*>(call)); });
    if (actor->creation != nullptr) tasks.insert(actor->creation);
  }
  return {tasks.begin(), tasks.end()};
}

// bury lets go of a worker that is dead: of what it held, of its link, of its part of the store.
void Node::bury(WorkerLink* link) {
  link->held.for_each([&](uint64_t id, uint32_t held) {
    ObjectEntry* entry = objects_.find(ObjectId{id});
    if ((held & kTold) != 0) --entry->readers;
    objects_.release(entry);
  });
  link->held.clear();
  for (const Location& span : link->jumbo_spans) free_span(span);
  const ClientId client = link->client;
  remove_link(link);
  for (ChunkId chunk : objects_.registry().orphan(client)) chunk_closed(chunk);
}

// drop_task ends a task without a result when the runtime stops; nobody is told.
void Node::drop_task(Task* task) {
  static const std::string value =
      encode_system_error(SystemErrorKind::kRaySystem, "the runtime was shut down");
  for (uint32_t i = task->header.returns; i-- > 0;) {
    ObjectEntry* entry = return_entry(task, i);
    entry->flags = 0;
    objects_.table().set_inline(entry, value.data(), value.size(),
                                ipc::kError | ipc::kSystemError);
    objects_.release(entry);
  }
  drop_arguments(task);
}

void Node::after_fork() {
  forked_ = true;
  closed_ = true;
  supervisor_.abandon();
  io_.abandon();
}

// ---- worker processes

void Node::start_worker(sched::Environment& scheduled) {
  if (closed_) return;
  const Environment& environment = environment_of(scheduled);
  Template& origin = *environment.origin;
  const uint32_t worker = next_worker_++;
  scheduler_.worker_starting(scheduled);
  ipc::LinkHeader header{};
  header.magic = ipc::kLinkMagic;
  header.version = ipc::kLinkVersion;
  header.worker = worker;
  header.client = worker + 1;  // 1 is the driver
  header.node_pid = os::own_pid();
  header.spin_ns = os::usable_cores() > 1 ? options_.max_spin : 0;
  header.inline_limit = inline_limit_;
  header.session = session_;
  header.soft_fds = raised_from_;
  auto made = WorkerLink::make(header);
  if (!made.is_ok() && made.status().err() == EMFILE) {
    const auto limit = os::fd_limit();
    if (limit.is_ok() && os::raise_fd_limit(limit->hard).is_ok()) {
      raised_from_ = header.soft_fds = limit->soft;
      made = WorkerLink::make(header);
    }
  }
  Status status = made.is_ok() ? Status() : made.status().clone();
  if (status.is_ok() && !origin.link.running()) {
    status = start_template(origin);
    nudge_supervisor();  // it has to watch the new one
  }
  auto settings = settings_for_fork(environment.settings);
  if (status.is_ok() && !settings.is_ok()) status = settings.status().clone();
  if (status.is_ok()) {
    WorkerLink* link = made->get();
    const int fds[kForkFds] = {link->memfd.get(),      link->peer_socket.get(),
                               bell_memfd_.get(),      waiter_event_.fd(),
                               supervisor_event_.fd(), attention_event_.fd(),
                               settings->get()};
    status = origin.link.request_fork(worker, static_cast<uint32_t>(environment.settings.size()),
                                      fds);
    link->memfd.reset();
    link->peer_socket.reset();
  }
  if (!status.is_ok()) {
    scheduler_.worker_start_failed(scheduled);
    if (++origin.failed_starts >= 5) {
      origin.failure = "No worker process could be started: " + status.message();
      nudge_supervisor();
    }
    return;
  }
  ++started_workers_;
  deadlines_[worker] = now() + options_.start_timeout;
  WorkerLink* link = made->get();
  link->worker.environment = &scheduled;
  link->origin = &origin;
  ++origin.workers;
  links_[worker] = made.take();
  const size_t count = polled_count_.load(std::memory_order_relaxed);  // written under the lock
  BOLIDE_CHECK(count < kMaxWorkers, "more than 8192 workers");
  polled_[count].store(link, std::memory_order_release);            // partner: looks_empty
  polled_count_.store(count + 1, std::memory_order_release);        // partner: looks_empty
}

void Node::remove_link(WorkerLink* link) {
  std::erase(dirty_, link);
  if (--link->origin->workers == 0) link->origin->unused_since = now();
  const size_t count = polled_count_.load(std::memory_order_relaxed);  // written under the lock
  for (size_t i = 0; i < count; ++i) {
    if (polled_[i].load(std::memory_order_relaxed) != link) continue;
    polled_[i].store(polled_[count - 1].load(std::memory_order_relaxed),
                     std::memory_order_release);                 // partner: looks_empty
    polled_count_.store(count - 1, std::memory_order_release);   // partner: looks_empty
    break;
  }
  auto node = links_.extract(link->worker.id.value);
  buried_.push_back(std::move(node.mapped()));
  if (!has_leader()) buried_.clear();
}

void Node::retire(sched::Worker& worker) {
  WorkerLink& link = *link_of(worker);
  link.retiring = true;
  link.send(ipc::RecordType::kShutdown, 0, [](std::byte*) {});
  mark_dirty(link);
}

}  // namespace bolide::node

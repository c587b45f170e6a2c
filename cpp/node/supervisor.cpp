// supervisor: the node's one background thread. It watches the template processes and the pipes
// of raw output, runs timers, and pumps while no thread waits. All signals are blocked in it.
#include <signal.h>

#include <algorithm>
#include <array>

#include "node/node.h"
#include "os/cpu.h"
#include "os/pipe.h"
#include "os/process.h"

namespace bolide::node {
namespace {

constexpr uint32_t kFailedStartsAtMost = 5;
constexpr size_t kStderrTail = 4096;
constexpr Nanos kSubmittingWithin = 500'000;

}  // namespace

void Node::supervise() {
  MutexLock lock(mutex_);
  while (!stopping_.load(std::memory_order_acquire)) {  // partner: stop
    // A thread that submits drains on its way; a second party would only fight it for the lock.
    const bool submitting = now() - submit_drained_ < kSubmittingWithin;
    if (!has_leader() && !submitting) drain();
    for (ChunkId chunk : objects_.registry().surplus(now())) retire(chunk);
    mover_.compact(now());
    check_deadlines();
    end_unused(now());
    if (now() >= interrupt_again_) send_interrupts();
    if (now() >= streams_due_) grant_due();
    if (now() >= memory_due_) watch_memory(lock);
    flush_links();
    const Nanos time = now();
    Nanos until = INT64_MAX;
    const bool awake = bell_urgency_ == ipc::Urgency::kAwake;
    if (awake && (has_leader() || time < lead_ended_ + kStayAwake)) {
      until = (has_leader() ? time : lead_ended_) + kStayAwake;  // see lead_ends
    } else if (!has_leader()) {
      asked_in_background_ = submitting ? urgency_of_waits() : background_urgency();
      set_bell(asked_in_background_, ipc::Bell::kSupervisor);
      if (!submitting && drain()) continue;
    }
    if (const auto look = scheduler_.next_look(time)) until = std::min(until, *look);
    if (submitting) until = std::min(until, time + kMillisecond);
    if (const auto due = objects_.registry().next_surplus()) until = std::min(until, *due);
    if (const auto look = mover_.next_look()) until = std::min(until, *look);
    for (const auto& [worker, deadline] : deadlines_) until = std::min(until, deadline);
    for (const auto& origin : templates_) until = std::min(until, unused_until(*origin));
    until = std::min({until, interrupt_again_, streams_due_, room_due_, memory_due_});
    if (!dirty_.empty()) until = std::min(until, time + kMillisecond);
    supervisor_until_ = until;
    std::vector<pollfd> items = {{supervisor_event_.fd(), POLLIN, 0},
                                 {output_pipes_[0].get(), POLLIN, 0},
                                 {output_pipes_[1].get(), POLLIN, 0}};
    std::vector<Template*> watched;
    for (const auto& origin : templates_) {
      if (!origin->link.running()) continue;
      watched.push_back(origin.get());
      items.push_back({origin->link.fd(), POLLIN, 0});
      items.push_back({origin->link.pidfd(), POLLIN, 0});
    }
    std::vector<uint32_t> orphans;
    for (const auto& [id, link] : links_) {
      if (!link->orphan_pidfd.valid()) continue;
      orphans.push_back(id);
      items.push_back({link->orphan_pidfd.get(), POLLIN, 0});
    }
    const size_t first_orphan = items.size() - orphans.size();
    items.push_back({inquiry_pipe_[0].get(), POLLIN, 0});
    lock.unlock();
    os::poll_fds(items.data(), items.size(), until == INT64_MAX ? -1 : std::max<Nanos>(0, until - time));
    if (items[0].revents != 0) supervisor_event_.clear();
    lock.lock();
    coarse_now_ = now();
    for (int i : {0, 1}) {
      if (items[static_cast<size_t>(i) + 1].revents != 0) read_output(i);
    }
    for (size_t i = 0; i < watched.size(); ++i) {
      if ((items[2 * i + 3].revents | items[2 * i + 4].revents) == 0) continue;
      if (watched[i]->link.running()) read_template(*watched[i], items[2 * i + 4].revents != 0);
    }
    for (size_t i = 0; i < orphans.size(); ++i) {
      if (items[first_orphan + i].revents != 0) worker_exited(orphans[i], os::describe_exit(-1));
    }
    if (items.back().revents != 0) answer_inquiries(lock);
    // A thread that leads may be asleep and must see what was done here.
    if (has_leader()) waiter_event_.ring();
  }
}

// worker_exited: the process is gone, so nobody writes its ring any more.
void Node::worker_exited(uint32_t worker, const std::string& how) {
  WorkerLink* link = link_of(worker);
  if (link == nullptr) return;
  read_output(0);
  read_output(1);
  while (drain_link(*link)) {
  }
  fail_unsendable();  // while the worker is there still, whose tasks they are
  if (link->pid > 0) os::kill_group(link->pid, SIGKILL);  // what it started and left behind
  const int pid = link->pid;
  Template& origin = *link->origin;
  if (!link->hello && !link->retiring) ++origin.failed_starts;
  deadlines_.erase(worker);
  const bool failed = link->failed;
  const std::string cause = failed ? "it was stopped after a malformed record" : how;
  const ClientId client = link->client;
  const bool expected = link->retiring;
  const bool was_actor = link->actor != nullptr;
  const std::unique_ptr<MemoryDeath> memory = std::move(link->memory_death);
  if (was_actor) lose_actor(*link, cause, pid, memory.get());
  // Newest first, so that the queue has them in their order.
  auto outstanding = std::move(link->outstanding);
  link->outstanding.clear();
  std::vector<Task*> lost;
  for (size_t i = outstanding.size(); i-- > 0;) {
    Task* task = outstanding[i].task;
    take_arguments_back(*link, task, false);
    scheduler_.abandon(link->worker, task);
    if (task->cancelled || link->started(outstanding[i])) {
      lost.push_back(task);
    } else {
      scheduler_.resubmit(task);
    }
  }
  scheduler_.worker_gone(link->worker);
  for (Task* task : lost) task_lost(task, cause, pid, memory.get());
  bury(link);
  if (was_actor || !expected) owner_gone(client, cause);
  if (origin.failed_starts >= kFailedStartsAtMost) {
    fail_all_ready(origin, "No worker could be started: " + std::to_string(origin.failed_starts) +
                               " in a row ended before they were ready (the last one: " + how +
                               "). What they wrote: " +
                               (last_stderr_.empty() ? "nothing" : last_stderr_));
    origin.failed_starts = 0;
  }
  scheduler_.dispatch(coarse_now_);
  flush_links();
  rouse_leader();
}

// fail_all_ready fails what waits for a worker of that template.
void Node::fail_all_ready(const Template& origin, const std::string& text) {
  for (const auto& environment : environments_) {
    if (environment->origin != &origin) continue;
    for (sched::Task* task : scheduler_.take_all_ready(*environment->scheduled)) {
      fail(static_cast<Task*>(task), SystemErrorKind::kRuntimeEnvSetup, text);
    }
  }
  rouse_leader();
}

// rouse_leader: the thread that leads the pump may wait for an object that this thread has just
// made ready. It looks itself, but only when it is woken.
void Node::rouse_leader() {
  if (has_leader()) waiter_event_.ring();
}

// check_deadlines: a worker that does not greet, or does not leave, in time is given up.
void Node::check_deadlines() {
  const Nanos time = now();
  for (const auto& origin : templates_) {
    if (!origin->failure.empty()) fail_all_ready(*origin, std::exchange(origin->failure, {}));
  }
  std::vector<uint32_t> late;
  for (const auto& [worker, deadline] : deadlines_) {
    if (deadline <= time) late.push_back(worker);
  }
  for (uint32_t worker : late) {
    WorkerLink* link = link_of(worker);
    deadlines_.erase(worker);
    if (link != nullptr && link->pid > 0) {
      os::kill_group(link->pid, SIGKILL);
    } else {
      worker_exited(worker, "it did not answer in time");
    }
  }
}

void Node::read_output(int index) {
  std::array<std::byte, 65536> buffer;
  std::string& partial = partial_[index];
  for (;;) {
    const size_t size = os::read_available(output_pipes_[index], buffer);
    if (size == 0) break;
    partial.append(reinterpret_cast<const char*>(buffer.data()), size);
    size_t begin = 0;
    for (size_t end; (end = partial.find('\n', begin)) != std::string::npos; begin = end + 1) {
      add_output(static_cast<uint32_t>(index) + 1, 0,
                 std::string_view(partial).substr(begin, end - begin));
    }
    partial.erase(0, begin);
    if (partial.size() > (1 << 20)) {  // a line without an end
      add_output(static_cast<uint32_t>(index) + 1, 0, partial);
      partial.clear();
    }
    if (size < buffer.size()) break;
  }
}

// drain_output keeps the lines that a worker had written when the runtime was stopped.
void Node::drain_output(WorkerLink& link) {
  ipc::Record record;
  while (!link.failed && link.replies.peek(record) == ipc::RingConsumer::Peek::kRecord) {
    link.replies.pop();
    if (record.type != static_cast<uint16_t>(ipc::RecordType::kLog)) continue;
    ipc::Reader in(record.payload, record.size);
    if (!on_log(link, in).is_ok()) return;
  }
}

void Node::add_output(uint32_t stream, int pid, std::string_view text) {
  if (stream == 2) {
    last_stderr_.append(text).push_back('\n');
    if (last_stderr_.size() > kStderrTail) {
      last_stderr_.erase(0, last_stderr_.size() - kStderrTail);
    }
  }
  if (!options_.forward_output) return;
  output_.push_back({stream, pid, std::string(text)});
  if (!has_output_.exchange(true, std::memory_order_acq_rel)) service_->push(0);
}

}  // namespace bolide::node

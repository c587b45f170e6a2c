// supervisor: the node's one background thread. It watches the template process and the pipes
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

Status Node::start_template() {
  return template_.start(options_.command, output_writers_[0].get(), output_writers_[1].get());
}

void Node::supervise() {
  MutexLock lock(mutex_);
  while (!stopping_.load(std::memory_order_acquire)) {  // partner: stop
    // A thread that submits drains on its way; a second party would only fight it for the lock.
    const bool submitting = now() - submit_drained_ < kSubmittingWithin;
    if (!has_leader() && !submitting) drain();
    for (ChunkId chunk : objects_.registry().surplus(now())) retire(chunk);
    mover_.compact(now());
    check_deadlines();
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
    until = std::min({until, interrupt_again_, streams_due_, room_due_, memory_due_});
    if (!dirty_.empty()) until = std::min(until, time + kMillisecond);
    supervisor_until_ = until;
    std::vector<pollfd> items = {{supervisor_event_.fd(), POLLIN, 0},
                                 {output_pipes_[0].get(), POLLIN, 0},
                                 {output_pipes_[1].get(), POLLIN, 0}};
    if (template_.running()) {
      items.push_back({template_.fd(), POLLIN, 0});
      items.push_back({template_.pidfd(), POLLIN, 0});
    }
    std::vector<uint32_t> orphans;
    for (const auto& [id, link] : links_) {
      if (!link->orphan_pidfd.valid()) continue;
      orphans.push_back(id);
      items.push_back({link->orphan_pidfd.get(), POLLIN, 0});
    }
    const size_t first_orphan = items.size() - orphans.size();
    lock.unlock();
    os::poll_fds(items.data(), items.size(), until == INT64_MAX ? -1 : std::max<Nanos>(0, until - time));
    if (items[0].revents != 0) supervisor_event_.clear();
    lock.lock();
    coarse_now_ = now();
    for (int i : {0, 1}) {
      if (items[static_cast<size_t>(i) + 1].revents != 0) read_output(i);
    }
    if (template_.running() && first_orphan > 3 && (items[3].revents | items[4].revents) != 0) {
      read_template();
    }
    for (size_t i = 0; i < orphans.size(); ++i) {
      if (items[first_orphan + i].revents != 0) worker_exited(orphans[i], os::describe_exit(-1));
    }
    // A thread that leads may be asleep and must see what was done here.
    if (has_leader()) waiter_event_.ring();
  }
}

void Node::read_template() {
  bool closed = false;
  while (auto message = template_.receive(&closed)) {
    WorkerLink* link = link_of(message->worker);
    switch (message->event) {
      case TemplateEvent::kForked:
        template_served_ = true;
        if (link != nullptr) link->pid = message->pid;
        break;
      case TemplateEvent::kForkFailed:
        worker_exited(message->worker, system_error("it could not be forked", message->status).message());
        break;
      case TemplateEvent::kExited:
        worker_exited(message->worker, os::describe_exit(message->status));
        break;
    }
  }
  if (closed) template_lost();
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
  if (!link->hello && !link->retiring) ++failed_starts_;
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
  if (failed_starts_ >= kFailedStartsAtMost) {
    fail_all_ready("No worker could be started: " + std::to_string(failed_starts_) +
                   " in a row ended before they were ready (the last one: " + how +
                   "). What they wrote: " + (last_stderr_.empty() ? "nothing" : last_stderr_));
    failed_starts_ = 0;
  }
  scheduler_.dispatch(coarse_now_);
  flush_links();
  rouse_leader();
}

void Node::fail_all_ready(const std::string& text) {
  for (sched::Task* task : scheduler_.take_all_ready()) {
    fail(static_cast<Task*>(task), SystemErrorKind::kRuntimeEnvSetup, text);
  }
  rouse_leader();
}

// rouse_leader: the thread that leads the pump may wait for an object that this thread has just
// made ready. It looks itself, but only when it is woken.
void Node::rouse_leader() {
  if (has_leader()) waiter_event_.ring();
}

// template_lost: the template died. Its workers live on; from now on each is watched by itself.
// One that has served is started again at once. One that died at its start is started again when
// a task needs a worker (start_worker), which counts as a failed start.
void Node::template_lost() {
  const std::string how = template_.lost();
  std::vector<uint32_t> gone;
  for (auto& [id, link] : links_) {
    if (!link->hello) {
      gone.push_back(id);
    } else if (!link->orphan_pidfd.valid()) {
      auto pidfd = os::open_pidfd(link->pid);
      if (pidfd.is_ok()) {
        link->orphan_pidfd = pidfd.take();
      } else {
        gone.push_back(id);
      }
    }
  }
  if (std::exchange(template_served_, false)) {
    warnings_.push_back("bolide's template process ended (" + how + ") and is started again.");
    service_->push(0);
    static_cast<void>(start_template());  // if that fails, start_worker tries again and tells
  }
  for (uint32_t id : gone) worker_exited(id, "the template process ended: " + how);
}

// check_deadlines: a worker that does not greet, or does not leave, in time is given up.
void Node::check_deadlines() {
  const Nanos time = now();
  if (!pending_failure_.empty()) fail_all_ready(std::exchange(pending_failure_, {}));
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

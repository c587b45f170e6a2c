// node_environments: environments on their way from the first task that needs one to its workers,
// and the template processes that fork these.
//
//   define          a class of tasks names an environment            unknown -> known
//   set_up          the first task waits for it: the binding is woken
//   environment_ready     its template is found or started           -> open
//   environment_failed    its tasks fail; the next one asks again    -> known
#include <signal.h>

#include "node/node.h"
#include "os/process.h"

namespace bolide::node {
namespace {

constexpr Nanos kKeepUnused = 30 * kSecond;
constexpr Nanos kEndsWithin = kSecond / 10;  // a template without children

bool same(const TemplateLink::Command& a, const TemplateLink::Command& b) {
  return a.argv == b.argv && a.env == b.env;
}

}  // namespace

Environment& Node::environment_of(const sched::Environment& scheduled) {
  return *static_cast<Environment*>(scheduled.owner);
}

Environment& Node::add_environment(sched::Environment& scheduled, std::string description) {
  environments_.push_back(std::make_unique<Environment>());
  Environment& added = *environments_.back();
  added.scheduled = &scheduled;
  added.description = std::move(description);
  scheduled.owner = &added;
  return added;
}

sched::Environment& Node::define_environment(const EnvironmentName& name) {
  if (sched::Environment* known = scheduler_.environment(name.key)) return *known;
  sched::Environment& scheduled = scheduler_.define_environment(name.key);
  add_environment(scheduled, std::string(name.description));
  return scheduled;
}

void Node::set_up(sched::Environment& environment) {
  wanted_environments_.push_back({environment.key, environment_of(environment).description});
  service_->push(0);
}

std::vector<EnvironmentRequest> Node::take_environments() {
  MutexLock lock(mutex_);
  return std::exchange(wanted_environments_, {});
}

void Node::prepare_environment(uint64_t key) {
  MutexLock lock(mutex_);
  sched::Environment* environment = scheduler_.environment(key);
  if (closed_ || environment == nullptr || environment->open) return;
  scheduler_.ask(*environment);
}

void Node::environment_ready(uint64_t key, TemplateLink::Command command, std::string settings) {
  MutexLock lock(mutex_);
  sched::Environment* scheduled = scheduler_.environment(key);
  if (closed_ || scheduled == nullptr) return;
  Environment& environment = environment_of(*scheduled);
  environment.settings = std::move(settings);
  environment.origin = &template_of(std::move(command));
  // One that cannot be started is tried again, and told of, when a worker is (start_worker).
  if (!environment.origin->link.running()) static_cast<void>(start_template(*environment.origin));
  scheduler_.open(*scheduled);
  scheduler_.dispatch(now());
  flush_links();
  nudge_supervisor();  // it has to watch the template
}

void Node::environment_failed(uint64_t key, std::string_view text) {
  MutexLock lock(mutex_);
  sched::Environment* scheduled = scheduler_.environment(key);
  if (closed_ || scheduled == nullptr) return;
  for (sched::Task* waiting : scheduler_.close(*scheduled)) {
    auto* task = static_cast<Task*>(waiting);
    if ((task->header.flags & ipc::kActorCreation) != 0) {
      creation_failed(task, SystemErrorKind::kActorRuntimeEnv, text);
    } else {
      fail(task, SystemErrorKind::kRuntimeEnvSetup, text);
    }
  }
  flush_links();
  nudge_supervisor();
  rouse_leader();
}

void Node::set_settings(uint64_t key, std::string_view blob) {
  MutexLock lock(mutex_);
  if (sched::Environment* known = scheduler_.environment(key)) {
    environment_of(*known).settings = blob;
  }
}

// ---- template processes

Template& Node::template_of(TemplateLink::Command command) {
  for (const auto& known : templates_) {
    if (same(known->command, command)) return *known;
  }
  templates_.push_back(std::make_unique<Template>());
  templates_.back()->command = std::move(command);
  return *templates_.back();
}

Status Node::start_template(Template& origin) {
  origin.unused_since = now();
  return origin.link.start(origin.command, output_writers_[0].get(), output_writers_[1].get());
}

// read_template handles what it has said; `ended`: its process has, so there is nothing more.
void Node::read_template(Template& origin, bool ended) {
  bool closed = false;
  while (auto message = closed ? std::nullopt : origin.link.receive(&closed)) {
    WorkerLink* link = link_of(message->worker);
    switch (message->event) {
      case TemplateEvent::kForked:
        origin.served = true;
        if (!WorkerLink::can_be_worker(message->pid)) {
          closed = true;
        } else if (link != nullptr) {
          link->pid = message->pid;
        }
        break;
      case TemplateEvent::kForkFailed:
        worker_exited(message->worker, system_error("it could not be forked", message->status).message());
        break;
      case TemplateEvent::kExited:
        worker_exited(message->worker, os::describe_exit(message->status));
        break;
    }
  }
  // Whoever it forked last may hold its end of the socket open for a moment.
  if (closed || ended) template_lost(origin);
}

// template_lost: the template died. Its workers live on; from now on each is watched by itself.
// One that has served is started again at once. One that died at its start is started again when
// a task needs a worker (start_worker), which counts as a failed start.
void Node::template_lost(Template& origin) {
  const std::string how = origin.link.lost();
  std::vector<uint32_t> gone;
  for (auto& [id, link] : links_) {
    if (link->origin != &origin) continue;
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
  if (std::exchange(origin.served, false)) {
    warnings_.push_back("bolide's template process ended (" + how + ") and is started again.");
    service_->push(0);
    static_cast<void>(start_template(origin));  // if that fails, start_worker tries again and tells
  }
  for (uint32_t id : gone) worker_exited(id, "the template process ended: " + how);
}

// end_unused ends the templates of environments whose last worker is long gone. The job's stays.
void Node::end_unused(Nanos time) {
  for (const auto& origin : templates_) {
    if (time < unused_until(*origin)) continue;
    origin->link.stop(time + kEndsWithin);
    origin->served = false;
  }
}

Nanos Node::unused_until(const Template& origin) const {
  const bool stays = &origin == environments_.front()->origin || !origin.link.running();
  return stays || origin.workers != 0 ? INT64_MAX : origin.unused_since + kKeepUnused;
}

}  // namespace bolide::node

#include "simulated/template.h"

#include <algorithm>
#include <cerrno>

#include "os/fd_passing.h"

namespace simulator {

using namespace bolide;
using node::TemplateEvent;

TemplateHost* template_host = nullptr;

namespace {
Nanos up_to(Machine& machine, Nanos longest) {
  return static_cast<Nanos>(machine.random().below(static_cast<uint64_t>(longest) + 1));
}
}  // namespace

Process& start_template(Machine& machine, os::Fd socket) {
  auto shared = std::make_shared<os::Fd>(std::move(socket));
  return machine.start_process("template", false,
                               [&machine, shared] { Template(machine, std::move(*shared)).run(); });
}

Template::Template(Machine& machine, os::Fd socket)
    : machine_(machine), socket_(std::move(socket)), child_ended_(os::Event::create().take()) {
  template_host->living.push_back(this);
  if (template_host->on_start) template_host->on_start(socket_);
}

Template::~Template() {
  std::erase(template_host->living, this);
}

void Template::run() {
  for (;;) {
    pollfd items[] = {{socket_.get(), POLLIN, 0}, {child_ended_.fd(), POLLIN, 0}};
    const Nanos due = next();
    os::poll_fds(items, 2, due == INT64_MAX ? -1 : std::max<Nanos>(0, due - machine_.time()));
    child_ended_.clear();
    for (size_t i = 0; i < children_.size();) {
      const Child child = children_[i];
      if (!child.ended || child.due > machine_.time()) {
        ++i;
        continue;
      }
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
      report({TemplateEvent::kExited, child.worker, child.pid, child.status});
    }
    while (!orders_.empty() && orders_.front().due <= machine_.time()) {
      Order order = std::move(orders_.front());
      orders_.erase(orders_.begin());
      fork(std::move(order));
    }
    if (!receive()) break;
  }
  for (const Child& child : children_) {
    Process* process = machine_.find_process(child.pid);
    if (process != nullptr) machine_.kill(*process, 9);
  }
}

Nanos Template::next() const {
  Nanos due = orders_.empty() ? INT64_MAX : orders_.front().due;
  for (const Child& child : children_) {
    if (child.ended) due = std::min(due, child.due);
  }
  return due;
}

// receive takes an order, if there is one. False: the node has hung up.
bool Template::receive() {
  node::ForkRequest request{};
  std::vector<os::Fd> fds;
  const auto size = os::receive_message(socket_.get(),
                                        std::as_writable_bytes(std::span(&request, 1)), fds, false);
  if (!size.is_ok()) return size.status().code() == Code::kFull;
  if (*size != sizeof request || fds.size() != node::kForkFds) fail("a malformed order to fork");
  Order order;
  order.worker = request.worker;
  order.due = machine_.time() + up_to(machine_, template_host->settings.longest_start);
  if (!orders_.empty()) order.due = std::max(order.due, orders_.back().due);
  order.descriptors.link = std::move(fds[0]);
  order.descriptors.socket = std::move(fds[1]);
  order.descriptors.bell = std::move(fds[2]);
  order.descriptors.waiter_event = std::move(fds[3]);
  order.descriptors.supervisor_event = std::move(fds[4]);
  order.descriptors.attention_event = std::move(fds[5]);
  order.descriptors.owner = machine_.processes().front()->end_event.dup().take();  // the driver
  orders_.push_back(std::move(order));
  return true;
}

void Template::fork(Order order) {
  const TemplateSettings& settings = template_host->settings;
  if (machine_.random().per_mille(settings.dies_per_mille)) {
    machine_.kill(machine_.process(), 9);
    machine_.pass();  // does not return
  }
  if (machine_.random().per_mille(settings.fork_fails_per_mille)) {
    report({TemplateEvent::kForkFailed, order.worker, 0, EAGAIN});
    return;
  }
  const bool dies = machine_.random().per_mille(settings.starts_die_per_mille);
  const uint32_t worker = order.worker;
  auto descriptors =
      std::make_shared<node::WorkerClient::Descriptors>(std::move(order.descriptors));
  Process& process =
      machine_.start_process("worker " + std::to_string(worker), true, [worker, dies, descriptors] {
        if (!dies) template_host->worker_main(worker, std::move(*descriptors));
      });
  children_.push_back({process.pid, worker, false, 0, 0});
  report({TemplateEvent::kForked, worker, process.pid, 0});
}

void Template::ended(const Process& process) {
  for (Child& child : children_) {
    if (child.pid != process.pid) continue;
    child.ended = true;
    child.status = process.status;
    child.due = machine_.time() + up_to(machine_, template_host->settings.longest_notice);
    child_ended_.ring();
  }
}

void Template::report(const node::TemplateMessage& message) {
  for (;;) {
    const Status sent = os::send_message(socket_.get(), std::as_bytes(std::span(&message, 1)), {});
    if (sent.code() != Code::kFull) return;
    machine_.sleep(10 * kMicrosecond);
  }
}

}  // namespace simulator

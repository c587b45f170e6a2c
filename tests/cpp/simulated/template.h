// template: the simulated template process: forks workers when the node asks, some late, some
// never, and tells how each one ended, some time afterwards. It may die itself; its workers live
// on.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "node/template_link.h"
#include "node/worker_client.h"
#include "os/event.h"
#include "simulated/machine.h"

namespace simulator {

struct TemplateSettings {
  Nanos longest_start = 1'000'000;
  uint64_t fork_fails_per_mille = 0;
  uint64_t starts_die_per_mille = 0;  // workers that end before they greet
  Nanos longest_notice = 0;           // of a worker's end
  uint64_t dies_per_mille = 0;        // forks before which the template dies
};

class Template;

// What all template processes of a run have in common.
struct TemplateHost {
  TemplateSettings settings;
  std::function<void(uint32_t worker, bolide::node::WorkerClient::Descriptors)> worker_main;
  std::function<void(const bolide::os::Fd& socket)> on_start;  // of a template, with its socket
  std::vector<Template*> living;
};
extern TemplateHost* template_host;

class Template {
 public:
  Template(Machine& machine, bolide::os::Fd socket);
  ~Template();
  void run();
  // ended: a process has ended; if it is a child, the node will be told.
  void ended(const Process& process);

 private:
  struct Order {
    Nanos due;
    uint32_t worker;
    bolide::node::WorkerClient::Descriptors descriptors;
  };
  struct Child {
    int pid;
    uint32_t worker;
    bool ended;
    Nanos due;
    int status;
  };

  bool receive();
  void fork(Order order);
  void report(const bolide::node::TemplateMessage& message);
  Nanos next() const;

  Machine& machine_;
  bolide::os::Fd socket_;
  bolide::os::Event child_ended_;
  std::vector<Order> orders_;
  std::vector<Child> children_;
};

Process& start_template(Machine& machine, bolide::os::Fd socket);

}  // namespace simulator

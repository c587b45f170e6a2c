// template_server: the loop of the template process: fork a worker when the node asks, tell it
// how each one ended, leave when the node is gone. The fork itself is the caller's (Python must
// fork by its own function, so that the child's interpreter is put in order).
//
// The process has one thread, always: what is forked from it is a copy of a quiet program.
//
// Invariants
//   1. Every child is in `children_` from its fork until it is reaped and reported.
//   2. When the loop ends, no child is left.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "base/status.h"
#include "node/template_link.h"
#include "node/worker_client.h"
#include "os/fd.h"

namespace bolide::node {

// What a worker is forked with.
struct ForkOrder {
  uint32_t worker = 0;
  uint32_t settings_bytes = 0;
  WorkerClient::Descriptors descriptors;
  os::Fd settings;
};

class BOLIDE_API TemplateServer {
 public:
  // open takes over the descriptors that TemplateLink::start handed down.
  static Result<std::unique_ptr<TemplateServer>> open();

  // next waits for an order; false: the node is gone, and so are all workers.
  bool next(ForkOrder* order);
  // forked and fork_failed report what came of the order.
  void forked(uint32_t worker, pid_t pid);
  void fork_failed(uint32_t worker, int error);
  // in_child makes the copy in a fresh worker let go of what is the template's; gives the
  // descriptor that names the node's process.
  os::Fd in_child();

 private:
  void reap();
  void report(const TemplateMessage& message);
  void end_children();

  os::Fd socket_;
  os::Fd owner_;
  os::Fd signals_;
  std::unordered_map<pid_t, uint32_t> children_;
};

}  // namespace bolide::node

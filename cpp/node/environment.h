// environment: how the node starts the workers of an environment: from which template process,
// and with which settings. What is in an environment only the binding knows.
//
// Thread safety: the node's lock guards both. Neither is forgotten while the node lives.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "node/template_link.h"
#include "sched/environment.h"

namespace bolide::node {

// A template process, or one that can be started again. Environments that need nothing of their
// own before Python starts share it.
struct Template {
  TemplateLink link;
  TemplateLink::Command command;
  bool served = false;         // the process that runs has forked a worker
  uint32_t failed_starts = 0;  // in a row
  std::string failure;         // why no worker can be started: fail what is ready, with this
  size_t workers = 0;          // that were asked for and are not gone
  Nanos unused_since = 0;
};

struct Environment {
  sched::Environment* scheduled = nullptr;
  std::string description;  // as the binding gave it
  std::string settings;     // what its workers apply before they run anything
  Template* origin = nullptr;  // nullptr until it is set up
};

// An environment that a task waits for, on its way to the binding.
struct EnvironmentRequest {
  uint64_t key;
  std::string description;
};

}  // namespace bolide::node

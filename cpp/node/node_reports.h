// node_reports: what a node tells about itself. Plain data.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "store/registry.h"

namespace bolide::node {

// A line that a worker wrote, for the driver's own streams.
struct OutputLine {
  uint32_t stream;  // 1 stdout, 2 stderr
  int32_t pid;      // 0: written past Python, the worker is not known
  std::string text;
};

// When a task with ipc::kTraced ran, in monotonic nanoseconds.
struct TraceEvent {
  uint64_t task;
  Nanos began;
  Nanos ended;
  int32_t pid;
  std::string name;
};

struct NodeStats {
  uint64_t objects;
  uint64_t heap_bytes;
  store::RegistryStats store;
  uint64_t spilled_objects;  // that lie on the disk now, whether in memory too or not
  uint64_t spilled;          // their bytes
  uint64_t written;          // bytes that were spilled, ever
  uint64_t read;             // bytes that have come back, ever
  uint64_t tasks;  // submitted and not ended
  uint64_t ready;
  uint64_t workers;
  uint64_t idle_workers;
  uint64_t waiting_workers;
  uint64_t started_workers;  // ever
  uint64_t retries;          // attempts after the first, of all tasks
  uint64_t submitted;        // ever
  uint64_t completed;        // ever
  uint64_t functions;        // exported and alive; they are among the objects
  uint64_t actors;           // not dead; those with handles are among the objects
};

}  // namespace bolide::node

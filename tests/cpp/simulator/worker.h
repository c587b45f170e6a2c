// worker: what a worker process does around the core's WorkerClient, in place of the Python of
// _hot_worker.pxi: it takes tasks, runs their programs (program.h) and gives their results.
//
// Thread safety: the process's main thread, but for aside(), which waits in a thread of its own.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "node/worker_client.h"
#include "simulator/calls.h"

namespace simulator {

using bolide::node::WorkerClient;

class SimWorker {
 public:
  SimWorker(const Context& context, std::unique_ptr<WorkerClient> client, uint32_t id);

  // loop runs tasks until the node says that it is enough.
  void loop();

  struct Running {
    uint64_t key;
    uint64_t sequence;
    bool fails = false;  // its result says, or was to say, that this attempt has failed
  };
  // What it has begun and not ended, the innermost last.
  const std::vector<Running>& running() const { return running_; }
  // The largest sequence number of the tasks that it has begun.
  uint64_t newest() const { return newest_; }
  WorkerClient& client() { return *client_; }
  uint32_t id() const { return id_; }
  const Process& process() const { return process_; }

 private:
  // One task while it runs.
  struct Frame {
    bolide::ipc::TaskHeader header;
    TaskSpec spec;
    Program program;
    uint64_t digest = 0;
    std::vector<ObjectEntry*> slots;
    std::vector<ObjectEntry*> owners;  // of stored dependencies
    std::vector<Oracle::Read> dependencies;
    std::vector<std::pair<const Thread*, ObjectEntry*>> asides;
    std::vector<std::byte> error;  // the value that it passes on instead of its own
    bool raises = false;           // this attempt fails
  };

  void execute(const bolide::node::TaskView& view);
  void decode(const bolide::node::TaskView& view, Frame& frame);
  void run(Frame& frame);
  void run_op(Frame& frame, size_t i);
  void submit(Frame& frame, const Op& op);
  void put(Frame& frame, size_t i);
  void finish(Frame& frame, Nanos began);
  // push_failure ends an attempt that is to be followed by another one.
  void push_failure(Frame& frame, Nanos began);
  // look_for_interrupt is what a signal's handler does: the task may be cancelled.
  void look_for_interrupt(Frame& frame);
  void aside(Frame& frame, ObjectEntry* entry, Nanos timeout);
  // get waits for a value and checks it; nothing: an error, which the task will pass on.
  bool get(Frame& frame, ObjectEntry* entry, Oracle::Read* read);
  void fail_by(Frame& frame, const Oracle::Read& read, bolide::store::ObjectEntry* entry);
  void get_inner(Frame& frame, const Oracle::Read& read);
  bool wait(Frame& frame, ObjectEntry* entry, Nanos deadline, bool can_inline);
  std::optional<bolide::store::Slot> reserve(uint64_t size);
  std::vector<uint64_t> ids(const Frame& frame, const std::vector<uint32_t>& slots) const;

  const Context context_;
  Machine& machine_;
  Process& process_;
  const std::unique_ptr<WorkerClient> client_;
  const uint32_t id_;
  std::vector<Running> running_;
  uint64_t newest_ = 0;
  std::set<uint64_t> pending_interrupts_;  // of tasks on which others run
  bool leaving_ = false;
  std::vector<ObjectEntry*> kept_;
};

}  // namespace simulator

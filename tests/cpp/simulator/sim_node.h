// sim_node: the node without threads, processes and a clock of its own. The scheduler, the
// reference table, the store and the links are the real ones; the glue between them repeats
// cpp/node/node_{tasks,records,pump,client}.cpp and worker_exited of supervisor.cpp under the same
// names, and must be kept like them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ipc/bell.h"
#include "node/objects.h"
#include "node/system_error.h"
#include "node/worker_link.h"
#include "sched/scheduler.h"
#include "simulator/random.h"
#include "store/arena.h"
#include "store/views.h"

namespace simulator {

using namespace bolide;
using node::Task;
using node::WorkerLink;
using store::ObjectEntry;

// What the node asks of the world around it.
class Host {
 public:
  virtual ~Host() = default;
  virtual Nanos now() const = 0;
  // A process is to be made for this link.
  virtual void fork_worker(WorkerLink& link) = 0;
  // So many starts have failed that the node gives the ready tasks up.
  virtual void gave_up() = 0;
  virtual void trace(const char* format, ...) __attribute__((format(printf, 2, 3))) = 0;
};

struct NodeSettings {
  double cpus = 2;
  uint64_t budget = 8 << 20;
  sched::Policy policy;
};

class SimNode : private sched::Actions, private node::ObjectsOwner {
 public:
  SimNode(const NodeSettings& settings, Host& host);
  ~SimNode() override;

  // --- what the driver calls
  struct Submit {
    uint64_t function = 0;
    uint64_t cls = 0;
    std::span<const uint64_t> dependencies;
    std::span<const uint64_t> contained;
    std::span<const std::byte> arguments;
    uint32_t returns = 1;
    int32_t max_retries = 0;
  };
  ObjectId next_ids(uint32_t count);
  // submit: `id` from next_ids, so that the caller can tell the oracle before anything happens.
  ObjectEntry* submit(ObjectId id, const Submit& request);
  ObjectEntry* put_inline(ObjectId id, std::span<const std::byte> value,
                          std::span<const uint64_t> contained, uint8_t flags);
  // reserve: nothing when the store is full now.
  std::optional<store::Slot> reserve(uint64_t size);
  ObjectEntry* put_stored(ObjectId id, const store::Slot& slot,
                          std::span<const uint64_t> contained);
  ObjectEntry* acquire(uint64_t id);
  ObjectEntry* find(uint64_t id) { return objects_.find(ObjectId{id}); }
  void release(ObjectEntry* entry) { released_.push_back(entry); }
  store::ValueBytes value(ObjectEntry* entry);
  void define(uint64_t key, const std::vector<std::pair<std::string, double>>& need);

  // --- the pump, one step at a time, so that clients may act between the steps
  bool drain();
  bool looks_empty() const;
  // set_bell: `waits`: a thread of the driver waits, else what the background asks for.
  void set_bell(bool waits);
  // raise_bell: the background asks for more than it did.
  void raise_bell();
  // next_look: when the node has to wake by itself; INT64_MAX: never.
  Nanos next_look();
  void someone_waits(bool waits) { scheduler_.someone_waits(waits); }
  // look_after repeats what the supervisor does beside pumping.
  void look_after();

  // --- the world
  void worker_exited(uint32_t worker);
  // pester takes back from a worker for no reason.
  void pester(Random& random);
  void retire_idle();
  const ipc::BellPage* bell_page() const { return &page_; }

  // --- checks
  void check();
  void check_idle();
  // check_end: all workers are gone and the driver has dropped everything.
  void check_end();
  uint64_t tasks() const { return tasks_; }
  uint64_t retries() const { return retries_; }
  size_t starting() const { return scheduler_.starting(); }
  // held is what the node thinks that a worker holds.
  const FlatMap<uint32_t>& held(uint32_t worker) const { return link_of(worker)->held; }
  size_t workers() const { return links_.size(); }
  std::string describe();

 private:
  struct Watcher {
    uint32_t worker;
    bool value;
  };

  // sched::Actions
  void assign(sched::Worker& worker, sched::Task& task, bool inlined) override;
  void start_worker() override;
  void take_back(sched::Worker& worker) override;
  void retire(sched::Worker& worker) override;
  sched::Task* awaited_by(sched::Worker& worker, sched::SchedulingClass& cls) override;
  void warn_infeasible(sched::SchedulingClass& cls) override;

  // node::ObjectsOwner
  void span_freed(ClientId owner, const Location& where) override;
  void chunk_closed(ChunkId chunk) override;
  void function_freed(ObjectId function) override;

  // node_tasks
  Result<ObjectEntry*> admit(Task* task, WorkerLink* submitter);
  void run_when_ready(Task* task);
  void make_ready(Task* task);
  void send_task(WorkerLink& link, Task* task, bool inlined);
  void send_value(WorkerLink& link, ObjectEntry* entry);
  void send_chunk(WorkerLink& link, ChunkId chunk);
  uint64_t send_sized(WorkerLink& link, ipc::RecordType type, uint64_t size,
                      const std::function<void(std::byte*)>& fill, uint64_t sequence);
  void mark_dirty(WorkerLink& link);
  ObjectEntry* return_entry(Task* task, uint32_t index);
  void finish(Task* task);
  void settle();
  void fail_task(Task* task, node::SystemErrorKind kind, std::string_view text);
  void fail_all_ready();
  void fail_like(Task* task, ObjectEntry* cause);
  void value_ready(ObjectEntry* entry);
  void task_lost(Task* task);

  // node_records
  static Status malformed(const char* what) { return Status(Code::kCorrupt, what); }
  bool drain_link(WorkerLink& link);
  Status handle(WorkerLink& link, ipc::RecordType type, const std::byte* data, uint64_t size);
  Status set_value(ObjectEntry* entry, ipc::Reader& in, const ipc::ValueHeader& header,
                   ClientId owner);
  Status on_result(WorkerLink& link, ipc::Reader& in);
  Status on_submit(WorkerLink& link, const std::byte* data, uint64_t size);
  Status on_put(WorkerLink& link, ipc::Reader& in);
  Status on_acquire(WorkerLink& link, ipc::Reader& in);
  Status on_release(WorkerLink& link, ipc::Reader& in);
  Status on_ask(WorkerLink& link, ipc::Reader& in, bool value);
  Status on_blocked(WorkerLink& link, ipc::Reader& in, bool blocked);
  Status on_hand_back(WorkerLink& link, ipc::Reader& in);
  Status on_chunk_wanted(WorkerLink& link, ipc::Reader& in);
  Status on_chunk_returned(WorkerLink& link, ipc::Reader& in);
  Status on_free_span(WorkerLink& link, ipc::Reader& in);
  Status on_jumbo(WorkerLink& link, ipc::Reader& in);

  void drain_releases();
  void flush_links();
  ipc::Urgency background_urgency() const;
  Status try_reserve(uint64_t size, bool control, store::Slot* slot);
  size_t close_chunks(const std::vector<ChunkId>& chunks);
  const std::byte* resolve(const Location& where);
  WorkerLink* link_of(uint32_t worker) const;
  void remove_link(WorkerLink* link);

  Host& host_;
  node::Objects objects_;
  store::Arena arena_;
  store::Views views_;
  sched::Scheduler scheduler_;
  std::unordered_map<uint64_t, std::vector<Task*>> dependents_;
  std::unordered_map<uint64_t, std::vector<Watcher>> watchers_;
  std::vector<Task*> settled_;
  bool settling_ = false;
  uint64_t next_counter_ = 1;
  uint64_t tasks_ = 0;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  uint64_t retries_ = 0;
  uint32_t failed_starts_ = 0;  // in a row
  bool space_wanted_ = false;
  std::map<uint32_t, std::unique_ptr<WorkerLink>> links_;  // ordered: a seed is one run
  std::vector<WorkerLink*> dirty_;
  uint32_t next_worker_ = 1;
  std::vector<ObjectEntry*> released_;
  ipc::BellPage page_{ipc::kBellMagic, 1, {}, {}};
  ipc::BellWriter bell_{&page_};
  ipc::Urgency asked_in_background_ = ipc::Urgency::kAwake;
  Nanos coarse_now_ = 0;
};

}  // namespace simulator

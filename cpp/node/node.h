// node: one scheduler, one reference table, one object store on one machine, and the workers
// that serve it. Embedded in the driver's process, it is also the driver's client.
//
// All state is guarded by mutex() and changed by one thread at a time: a driver's thread in a
// call, the thread that leads the pump, or the supervisor. Below it are only leaf locks (the
// release list, a completion queue, the views), and it never blocks: what a worker's ring has no
// room for waits in a queue.
//
//   node.cpp          making and stopping the node and its workers
//   node_client.cpp   what the driver calls: submit, put, get, wait, references
//   node_tasks.cpp    a task's life: admission, dependencies, results, failure
//   node_admission.cpp  tasks with large arguments: when they may begin
//   node_sending.cpp  tasks, and the values that they need, on their way to a worker
//   node_retries.cpp  attempts that failed, and workers that leave
//   node_cancel.cpp   cancelling tasks
//   node_actors.cpp   actors: made, called, found by name
//   node_actor_ends.cpp  actors: killed, out of scope, lost with their worker, started again
//   node_promises.cpp  objects whose value an engine gives later
//   node_classes.cpp  scheduling classes
//   node_groups.cpp   placement groups
//   node_streams.cpp  tasks that yield, and their consumers
//   node_memory.cpp   watching memory while tasks run, and ending one when it runs short
//   node_environments.cpp  environments, and the template processes that fork their workers
//   node_inspect.cpp  objects and who holds them, for `bolide memory`
//   node_state.cpp    what there is, for those who look
//   node_telling.cpp  output, statistics, resources, what was run when
//   node_records.cpp  what arrives through a worker's ring
//   node_store.cpp    chunks, the values in them, what happens when bytes go
//   node_room.cpp     room in the store, and who waits for it
//   node_pump.cpp     draining, sleeping, the bell
//   supervisor.cpp    the background thread: processes, output, timers
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "ipc/bell.h"
#include "node/actor.h"
#include "node/client.h"
#include "node/memory_policy.h"
#include "node/environment.h"
#include "node/loans.h"
#include "node/measures.h"
#include "node/mover.h"
#include "node/node_reports.h"
#include "node/objects.h"
#include "node/placement_group.h"
#include "node/spiller.h"
#include "node/stream.h"
#include "node/system_error.h"
#include "node/template_link.h"
#include "node/worker_link.h"
#include "os/event.h"
#include "os/thread.h"
#include "sched/scheduler.h"

namespace bolide::node {

struct NodeOptions {
  double num_cpus = 1;
  std::vector<std::pair<std::string, double>> resources;  // GPU, memory and custom ones
  uint64_t object_store_memory = 0;
  Nanos max_spin = 50'000;
  std::string spill_directory = "/var/tmp";
  Nanos memory_refresh = 0;      // between looks at the memory of what runs, at most; 0: none
  double memory_threshold = 1;   // part of the machine's memory in use, above which a worker is killed
  std::string meminfo;           // file that tells the machine's memory; "": the kernel's, and cgroups
  uint64_t inline_limit = 8192;
  uint32_t max_blocked_per_core = 4;
  Nanos start_timeout = 60 * kSecond;
  bool forward_output = true;
  // The job's environment. Without argv there are no workers until environment_ready gives it: it
  // is to be set up first, or an engine runs the calls.
  TemplateLink::Command command;
  std::string settings;
};

class BOLIDE_API Node : public Client,
                        private sched::Actions,
                        private sched::Actors::Actions,
                        private ObjectsOwner,
                        private MoverOwner,
                        private SpillerOwner {
 public:
  static Result<std::unique_ptr<Node>> start(NodeOptions options);
  ~Node() override;

  // stop ends all workers and wakes every waiting thread with kClosed. Idempotent. References and
  // views stay valid; nothing else works afterwards.
  void stop();
  // after_fork makes this copy in a forked child inert: it touches no memory or process of the
  // parent's.
  void after_fork();

  // --- environments, by key; 0 is the job's
  // prepare_environment asks for one before a task needs it.
  void prepare_environment(uint64_t key);
  // take_environments: those that tasks wait for, each once. The service queue is rung for them.
  std::vector<EnvironmentRequest> take_environments();
  // environment_ready: how its workers are started. environment_failed: it cannot be made; what
  // waits for it fails with that sentence, and the next task asks again.
  void environment_ready(uint64_t key, TemplateLink::Command command, std::string settings);
  void environment_failed(uint64_t key, std::string_view text);
  // set_settings is what its next workers apply before they run anything (sys.path, working
  // directory, environment, as the binding encodes them).
  void set_settings(uint64_t key, std::string_view blob);

  // Client
  Result<ObjectEntry*> submit(const SubmitRequest& request) override;
  Status define_class(uint64_t key, Quantities need, const Quantities* kept,
                      const EnvironmentName& environment, GroupPlace place) override;
  Status remove_group(ObjectId group) override;
  ObjectEntry* stream_next(ObjectEntry* stream, uint64_t taken) override;
  void cancel(ObjectEntry* entry, bool force, bool recursive) override;
  bool is_actor_call(ObjectEntry* entry) override;
  Status kill_actor(ObjectId actor, bool no_restart) override;
  Result<ObjectEntry*> query(ipc::QueryKind kind, std::string_view text) override;
  Result<ObjectEntry*> put_inline(const void* data, uint64_t size,
                                  std::span<const uint64_t> contained, uint8_t flags) override;
  Result<store::Slot> reserve(uint64_t size, bool alone, Nanos since, Nanos deadline) override;
  Result<os::Mapping> leave(const store::Slot& slot) override;
  Result<ObjectEntry*> put_stored(const store::Slot& slot, std::span<const uint64_t> contained,
                                  uint8_t flags, bool pinned) override;
  void abandon(const store::Slot& slot) override;
  void note_site(ObjectEntry* first, uint32_t returns, std::string_view text) override;
  const std::byte* resolve(const Location& where) override;
  Status fetch(ObjectEntry* entry, Nanos until) override;
  ObjectEntry* acquire(ObjectId id) override;
  ObjectEntry* acquire_known(ObjectId id) override { return acquire(id); }
  ObjectEntry* find(ObjectId id) override;
  void add_reference(ObjectEntry* entry) override;
  void release(ObjectEntry* entry) override;
  void ask(std::span<ObjectEntry* const>, bool) override {}
  WaitResult wait(std::span<ObjectEntry* const> entries, uint32_t needed, Nanos until,
                  WaitMode& mode) override;
  void end_wait(WaitMode&) override {}
  // spin waits for the object for some microseconds, without sleeping; true when it is ready.
  bool spin(ObjectEntry* entry);
  Status watch(ObjectEntry* entry, std::shared_ptr<CompletionQueue> queue,
               uint64_t token) override;

  // For an engine that runs calls in this process: promise makes an object that is pending until it is
  // kept, by a value as the puts take it. One that has its value keeps that, and the later is dropped.
  Result<ObjectEntry*> promise();
  Status keep_inline(ObjectEntry* promised, const void* data, uint64_t size,
                     std::span<const uint64_t> contained, uint8_t flags);
  Status keep_stored(ObjectEntry* promised, const store::Slot& slot,
                     std::span<const uint64_t> contained, uint8_t flags);

  // Output and warnings for the binding: an event that is rung when there is something, a cheap
  // test (true until output_printed, so that who sees false knows that it is printed), the lines.
  // service() is nullptr once the node has stopped.
  std::shared_ptr<CompletionQueue> service() {
    MutexLock lock(mutex_);
    return service_;
  }
  bool has_output() const { return has_output_.load(std::memory_order_acquire); }
  std::vector<OutputLine> take_output();
  void output_printed();
  std::vector<std::string> take_warnings();

  NodeStats stats();
  std::vector<int> worker_pids();
  int template_pid();
  using Resources = std::vector<std::pair<std::string, std::pair<double, double>>>;
  Resources resources();  // total, free
  std::vector<TraceEvent> trace_events();
  // holders tells for an object how many references it has (tests, leak gate); 0: unknown.
  uint32_t references(ObjectId id);
  bool audit();
  // memory_report tells of the largest objects and of who holds them, as JSON (node_inspect.cpp).
  std::string memory_report(uint64_t limit);

 protected:
  // Pump
  bool drain() override;
  bool looks_empty() const override;
  void before_sleep() override;
  bool sleep(Nanos until) override;
  void after_sleep() override;
  void lead_begins() override;
  void lead_ends() override;

 private:
  friend class Inspector;  // of the simulator: it looks, and changes nothing

  struct Watcher {
    enum class Kind : uint8_t { kThread, kWorkerValue, kWorkerReady, kQueue } kind;
    Waiter* waiter = nullptr;
    uint32_t worker = 0;
    std::shared_ptr<CompletionQueue> queue;
    uint64_t token = 0;
  };

  explicit Node(NodeOptions options);
  Status open();

  // sched::Actions
  void assign(sched::Worker& worker, sched::Task& task, bool inlined) override;
  void start_worker(sched::Environment& environment) override;
  void take_back(sched::Worker& worker) override;
  void retire(sched::Worker& worker) override;
  sched::Task* awaited_by(sched::Worker& worker, sched::SchedulingClass& cls) override;
  void warn_infeasible(sched::SchedulingClass& cls) override;
  void leased(sched::Worker& worker) override;
  void set_up(sched::Environment& environment) override;
  bool admits(sched::Task& heavy) override;

  // ObjectsOwner
  void span_freed(ClientId owner, const Location& where) override;
  void chunk_closed(ChunkId chunk) override;
  void place_freed(ObjectId object, store::SpillPlace place) override;
  void store_changed() override;
  void function_freed(ObjectId function) override;
  void actor_freed(ObjectId actor) override;
  void group_freed(ObjectId group) override;
  void stream_freed(ObjectId stream) override;

  // MoverOwner
  void retire(ChunkId chunk) override;
  Status reserve_for_move(uint64_t size, store::Slot* slot) override;
  void free_span(const Location& where) override;
  const std::byte* resolve_locked(const Location& where) override;
  bool may_move_function(ObjectId function) override;
  Result<store::SpillPlace> place_on_disk(uint64_t size) override;
  void failed_to_spill(const Status& why) override;
  void recall(std::span<ObjectEntry* const> entries) override;
  void moved(bool any) override;

  // SpillerOwner
  Status room_for_return(uint64_t size, store::Slot* slot) override;
  void value_returned(ObjectEntry* entry) override;
  std::string holders_of(const ObjectEntry* entry) override;
  Status no_room(uint64_t size) override;

  // node_tasks.cpp
  Result<ObjectEntry*> admit(Task* task, WorkerLink* submitter, bool unwanted = false);
  static bool is_function(const ObjectEntry* entry);  // nullptr is none
  bool arguments_exist(Task* task);
  ObjectEntry* book(Task* task, WorkerLink* submitter);
  bool await_dependencies(Task* task);
  ObjectEntry* failed_dependency(Task* task);
  void make_ready(Task* task);
  void send_devices(WorkerLink& link);
  void send_task(WorkerLink& link, Task* task, bool inlined);
  void send_value(WorkerLink& link, ObjectEntry* entry);
  void lend_arguments(WorkerLink& link, Task* task);
  void take_arguments_back(WorkerLink& link, Task* task, bool has_run);
  void tell(WorkerLink& link, ObjectEntry* entry);
  void send_chunk(WorkerLink& link, ChunkId chunk);
  Result<uint64_t> send_sized(WorkerLink& link, ipc::RecordType type, uint64_t size,
                              const std::function<void(std::byte*)>& fill, uint64_t sequence);
  void fail_unsendable();
  void mark_dirty(WorkerLink& link);
  void finish(Task* task);
  void drop_arguments(Task* task);
  ObjectEntry* fail_unbooked(const ipc::TaskHeader& header, WorkerLink* submitter,
                             const std::string& value);
  void settle();
  void fail(Task* task, SystemErrorKind kind, std::string_view text);
  void fail_like(Task* task, ObjectEntry* cause);
  void value_ready(ObjectEntry* entry);
  ObjectEntry* return_entry(Task* task, uint32_t index);
  store::ValueBytes bytes_of(ObjectEntry* entry);
  Status book_value(ObjectEntry* entry, ClientId owner);

  // node_admission.cpp
  bool weigh(Task* task);
  bool may_borrow(Task* task);
  void admit_held();
  void lend_heavy(WorkerLink& link, Task* task);
  void take_heavy_back(Task* task);

  // node_retries.cpp
  void task_lost(Task* task, const std::string& how, int pid, const MemoryDeath* memory);
  void retry(Task* task);
  Status on_retryable(WorkerLink& link, WorkerLink::Outstanding* entry,
                      const ipc::ResultHeader& result);
  void part_with(WorkerLink& link);
  std::string task_name(Task* task);

  // node_memory.cpp
  void watch_memory_within(Nanos pause);
  void watch_memory(MutexLock& lock);
  const WorkerLink::Outstanding* running_task(const WorkerLink& link) const;
  std::vector<Suspect> list_suspects(bool* any_runs);
  void kill_for_memory(const MemoryDeath& death);
  void task_out_of_memory(Task* task, const MemoryDeath& death, int pid);
  void feed_starved(Nanos time, bool all);

  // node_cancel.cpp
  void cancel_maker(ObjectEntry* entry, bool force, bool recursive);
  Status on_cancel(WorkerLink& link, ipc::Reader& in);
  bool withdraw(Task* task);
  void unwait(Task* task);
  std::vector<Task*> descendants(const Task* task);
  void interrupt(Task* task, bool force, bool recursive);
  void send_interrupts();
  void fail_cancelled(Task* task, const char* state = "had not begun");
  std::string cancellation_text(Task* task, const char* state);
  // node_actors.cpp
  Actor* find_actor(ObjectId id);
  Status declare_actor(ObjectEntry* entry, ClientId owner);
  void free_name(const Actor& actor);
  void forget_actor(Actor* actor);
  Result<ObjectEntry*> admit_creation(Task* task);
  Result<ObjectEntry*> admit_call(Task* task, WorkerLink* submitter, bool unwanted);
  void send_call(sched::Actor& actor, sched::Task& call) override;
  void begin_actor(WorkerLink& link, Task* creation);
  bool answered(WorkerLink& link, Task* task, const ipc::ResultHeader& result, bool again);
  std::string describe(const Actor& actor) const;
  std::string method_name(const Actor& actor, Task* call);
  std::vector<std::byte> answer(ipc::QueryKind kind, std::string_view text, ClientId asker,
                                uint64_t* contained);
  Status on_query(WorkerLink& link, ipc::Reader& in);

  // node_actor_ends.cpp
  Status on_actor_exit(WorkerLink& link, ipc::Reader& in);
  Status on_kill(WorkerLink& link, ipc::Reader& in);
  void kill(Actor& actor, bool no_restart);
  void end_actor(Actor& actor, SystemErrorKind kind, std::string_view text);
  void end_unreferenced_actors();
  void give_up_creation(Actor& actor);
  void creation_failed(Task* creation, SystemErrorKind kind, std::string_view text);
  void owner_gone(ClientId owner, const std::string& how);
  void lose_actor(WorkerLink& link, const std::string& how, int pid, const MemoryDeath* memory);
  void fail_call(Task* call, const std::string& value);

  // node_groups.cpp
  struct Barred {
    SystemErrorKind kind;  // kTaskGroupRemoved: the text names the group; else it says why
    std::string text;
  };
  PlacementGroup* find_group(ObjectId id);
  std::string describe(const PlacementGroup& group) const;
  Status declare_group(ObjectEntry* entry);
  void warn_impossible(const PlacementGroup& group, bool one_node);
  void bar(uint64_t key, Barred why);
  const Barred* barred(uint64_t key) const;
  Status check_place(GroupPlace place);
  void define_in_group(sched::SchedulingClass* made, GroupPlace place);
  bool bar_if_hopeless(uint64_t key, Quantities need, GroupPlace place);
  std::string lack(const sched::SchedulingClass& cls) const;
  void fail_barred(Task* task, const Barred& why);
  void fail_ungrouped(Task* task);
  void fail_removed(Task* task, const std::string& group);
  void end_barred_actor(Actor& actor, const Barred& why);
  void end_removed(Actor& actor, const std::string& group);
  Status on_remove_group(WorkerLink& link, ipc::Reader& in);
  void remove_group(PlacementGroup& group);
  void tell_groups(std::vector<std::byte>* out) const;
  void tell_own_group(ClientId asker, std::vector<std::byte>* out, uint64_t* contained) const;
  void find_group_named(std::string_view key, std::vector<std::byte>* out,
                        uint64_t* contained) const;
  void find_own(const PlacementGroup& group, std::vector<std::byte>* out,
                uint64_t* contained) const;

  // node_streams.cpp
  void open_stream(Task* task);
  Stream* find_stream(ObjectId handle);
  void begin_stream(WorkerLink& link, Task* task);
  void send_credit(WorkerLink& link, uint64_t sequence, const Stream& stream);
  void grant(Stream& stream, Nanos time, bool due);
  void grant_due();
  Status on_yield(WorkerLink& link, ipc::Reader& in);
  Status on_next(WorkerLink& link, ipc::Reader& in);
  ObjectEntry* next_item(Stream* stream, ObjectId id);
  void has_taken(Stream& stream, uint64_t taken);
  void promise_value(WorkerLink& link, ObjectEntry* entry);
  void end_stream(Task* task);
  void drop_wanted(Stream& stream);
  void close_streams();

  // node_inspect.cpp
  std::string report_locked(uint64_t limit);
  void answer_inquiries(MutexLock& lock);

  // node_state.cpp
  void tell_state(ipc::QueryKind kind, std::vector<std::byte>* out);
  void tell_tasks(std::vector<std::byte>* out);
  void tell_actors(std::vector<std::byte>* out);
  void tell_workers(std::vector<std::byte>* out);

  // node_telling.cpp
  Resources resources_locked() const;
  void tell_resources(std::vector<std::byte>* out) const;
  void tell_assigned(ClientId client, std::vector<std::byte>* out) const;
  Status on_trace(WorkerLink& link, ipc::Reader& in);

  // node_records.cpp
  bool drain_link(WorkerLink& link);
  Status handle(WorkerLink& link, ipc::RecordType type, const std::byte* data, uint64_t size);
  Status on_result(WorkerLink& link, ipc::Reader& in);
  Status on_submit(WorkerLink& link, const std::byte* data, uint64_t size);
  Status on_put(WorkerLink& link, ipc::Reader& in);
  Status on_acquire(WorkerLink& link, ipc::Reader& in);
  Status on_release(WorkerLink& link, ipc::Reader& in);
  Status on_recalled(WorkerLink& link, ipc::Reader& in);
  Status on_site(WorkerLink& link, ipc::Reader& in);
  Status on_ask(WorkerLink& link, ipc::Reader& in, bool value);
  Status on_blocked(WorkerLink& link, ipc::Reader& in, bool blocked);
  Status on_hand_back(WorkerLink& link, ipc::Reader& in);
  Status on_define_class(WorkerLink& link, ipc::Reader& in);
  Status on_log(WorkerLink& link, ipc::Reader& in);
  Status on_jumbo(WorkerLink& link, ipc::Reader& in);
  Status set_value(ObjectEntry* entry, ipc::Reader& in, const ipc::ValueHeader& header,
                   ClientId owner);
  sched::Need need_of(Quantities quantities);
  Status define(uint64_t key, Quantities need, const Quantities* kept,
                const EnvironmentName& environment, GroupPlace place);

  // node_pump.cpp
  void drain_releases();
  void flush_links();
  void set_bell(ipc::Urgency urgency, ipc::Bell bell);
  void refresh_bell();
  void drain_unrung();
  ipc::Urgency urgency_of_waits() const;
  ipc::Urgency background_urgency() const;
  void nudge_supervisor();

  // node_environments.cpp
  static Environment& environment_of(const sched::Environment& scheduled);
  Environment& add_environment(sched::Environment& scheduled, std::string description);
  sched::Environment& define_environment(const EnvironmentName& name);
  Template& template_of(TemplateLink::Command command);
  Status start_template(Template& origin);
  void read_template(Template& origin, bool ended);
  void template_lost(Template& origin);
  void end_unused(Nanos time);
  Nanos unused_until(const Template& origin) const;

  // supervisor.cpp
  void supervise();
  void read_output(int index);
  void worker_exited(uint32_t worker, const std::string& how);
  void check_deadlines();
  void fail_all_ready(const Template& origin, const std::string& text);
  void rouse_leader();
  void drain_output(WorkerLink& link);
  void add_output(uint32_t stream, int pid, std::string_view text);

  WorkerLink* link_of(const sched::Worker& worker) const;
  WorkerLink* link_of(uint32_t worker) const;
  WorkerLink* link_of(ClientId client) const { return link_of(client.value - 1); }
  void remove_link(WorkerLink* link);
  std::vector<Task*> unfinished_tasks();
  void drop_task(Task* task);
  void bury(WorkerLink* link);
  bool await_waiters(MutexLock& lock);
  void close_descriptors();
  ObjectId next_ids(uint32_t count);

  void unwatch(ObjectEntry* entry, const Waiter* waiter);
  void send_failure(WorkerLink& link, const ObjectEntry* entry, const std::string& failure);

  // node_room.cpp
  struct RoomRequest {
    uint32_t worker;
    ipc::ChunkRequest wants;
    Nanos since;
    bool answered;
  };
  Status on_chunk_wanted(WorkerLink& link, ipc::Reader& in);
  void serve_room();
  Status fetch_locked(ObjectEntry* entry, Nanos until, MutexLock& lock);
  bool grant_room(WorkerLink& link, const RoomRequest& request, Nanos time);
  void room_came_free(WorkerLink& link, const Location& where);
  void refuse_room(WorkerLink& link, const RoomRequest& request, const Status& why);
  Status no_room(uint64_t size, Nanos since);
  std::string largest_objects();
  void set_sites(ObjectId first, uint32_t returns, std::string_view text);

  // node_store.cpp
  Status on_chunk_returned(WorkerLink& link, ipc::Reader& in);
  Status try_reserve(uint64_t size, bool alone, bool control, store::Slot* slot);
  size_t close_chunks(const std::vector<ChunkId>& chunks);

  const NodeOptions options_;
  Objects objects_;
  store::Arena arena_;
  store::IoPool io_;
  Mover mover_;
  store::SpillFiles spill_files_;
  Spiller spiller_;
  std::deque<RoomRequest> room_requests_;
  Nanos room_due_ = INT64_MAX;  // when those who wait for room must be looked after again
  Loans loans_;
  std::vector<std::pair<Task*, WorkerLink*>> borrowers_;  // heavy tasks that were sent
  std::deque<Task*> held_back_;                           // heavy tasks that may not begin yet
  Task* admitting_ = nullptr;  // the one of them that is being submitted again
  sched::Scheduler scheduler_;
  sched::Actors calls_{*this};
  std::unordered_map<uint64_t, std::unique_ptr<Actor>> actors_;
  std::unordered_map<std::string, Actor*> names_;
  std::vector<ObjectId> unreferenced_;  // actors whose last handle has just gone
  std::unordered_map<uint64_t, std::unique_ptr<PlacementGroup>> groups_;
  std::unordered_map<uint64_t, Barred> barred_;  // keys of classes whose tasks fail
  Measures measures_;
  std::unordered_map<uint64_t, std::vector<Task*>> dependents_;
  std::unordered_map<uint64_t, std::vector<Watcher>> watchers_;
  std::unordered_map<uint64_t, std::unique_ptr<Stream>> streams_;  // by the consumer's object
  Nanos streams_due_ = INT64_MAX;  // when credit that is held back is to be given
  std::vector<Task*> settled_;  // their last dependency has come
  bool settling_ = false;
  struct Unsendable {
    Task* task;
    bool inlined;
    std::string why;
  };
  std::vector<Unsendable> unsendable_;
  struct Starved {
    Task* task;
    Nanos until;
  };
  std::vector<Starved> starved_;     // killed because memory ran low, to be queued again
  Nanos memory_due_ = INT64_MAX;     // when to look at memory; INT64_MAX: nothing runs
  Nanos machine_due_ = 0;            // when the machine's is to be looked at, too
  uint32_t memory_victim_ = 0;       // worker that was killed and is not gone yet
  uint64_t begun_ = 0;               // numbers what is seen to have begun
  uint64_t next_counter_ = 1;
  BlockPool task_memory_;
  uint64_t tasks_ = 0;
  uint32_t submits_since_drain_ = 0;
  uint32_t space_wanted_ = 0;  // threads that wait in reserve()
  std::vector<Waiter*> space_waiters_;

  // workers
  static constexpr size_t kMaxWorkers = 8192;
  std::unordered_map<uint32_t, std::unique_ptr<WorkerLink>> links_;
  std::unique_ptr<std::atomic<WorkerLink*>[]> polled_;  // the same, for looks_empty
  std::atomic<size_t> polled_count_{0};
  std::vector<std::unique_ptr<WorkerLink>> buried_;  // dead links that a poller may still see
  std::vector<WorkerLink*> dirty_;                   // with records to publish
  uint32_t next_worker_ = 1;
  uint64_t started_workers_ = 0;
  uint64_t retries_ = 0;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  uint64_t functions_ = 0;
  uint64_t raised_from_ = 0;     // the soft limit of descriptors before it was raised
  std::unordered_map<uint32_t, Nanos> deadlines_;  // to greet, or to be gone: else it is killed
  std::vector<uint32_t> interrupting_;  // workers that have not seen an interrupt yet
  Nanos interrupt_again_ = INT64_MAX;   // when they are to be signalled again
  Nanos interrupt_pause_ = 0;           // between that and the next time
  std::vector<std::unique_ptr<Template>> templates_;
  std::vector<std::unique_ptr<Environment>> environments_;  // the job's first
  std::vector<EnvironmentRequest> wanted_environments_;

  // waking
  os::Fd bell_memfd_;
  os::Mapping bell_memory_;
  ipc::BellWriter bell_;
  os::Event waiter_event_;
  os::Event supervisor_event_;
  os::Event attention_event_;  // each ring wakes the attendant of every worker
  uint32_t waiting_threads_ = 0;
  ipc::Urgency asked_in_background_ = ipc::Urgency::kAwake;
  ipc::Urgency bell_urgency_ = ipc::Urgency::kAlways;  // what the bell's word says
  static constexpr Nanos kStayAwake = 5 * kMillisecond;
  Nanos lead_ended_ = INT64_MIN / 2;  // when a lead last left the bell as it was
  Nanos supervisor_until_ = 0;       // when it will look again by itself
  Nanos submit_drained_ = 0;         // when a submitting thread last drained
  Nanos leader_look_ = INT64_MAX;    // when the sleeping leader must look again
  Nanos sleep_look_ = INT64_MAX;     // the same, as the leader read it before it slept
  Nanos coarse_now_ = 0;

  // references that finalisers gave up
  Mutex release_mutex_;
  std::vector<ObjectEntry*> released_ GUARDED_BY(release_mutex_);
  std::atomic<bool> has_released_{false};
  bool quiet_ GUARDED_BY(release_mutex_) = false;  // nobody is left to be rung

  // output
  os::Fd output_pipes_[2];   // reading ends: stdout, stderr
  os::Fd output_writers_[2];
  os::Fd inquiry_pipe_[2];   // reading end, writing end
  std::string partial_[2];
  std::deque<OutputLine> output_;
  std::vector<std::string> warnings_;
  std::deque<TraceEvent> events_;
  std::string last_stderr_;  // tail, for workers that cannot start
  std::atomic<bool> has_output_{false};
  std::shared_ptr<CompletionQueue> service_;

  os::Thread supervisor_;
  std::atomic<bool> stopping_{false};
  bool forked_ = false;
  bool opened_ = false;
};

}  // namespace bolide::node

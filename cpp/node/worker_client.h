// worker_client: a worker process's side of its link to the node: the client interface for user
// code that runs in the worker, and the stream of tasks for the worker's main thread.
//
// It is Python-free; the binding decodes and runs. One lock (the pump's) guards both ring ends
// and the local table; it is never held while user code runs, and a thread that waits for ring
// space keeps it, which is safe because the node never waits for a worker.
//
// Invariants
//   1. What one process tells the node (acquire, submit, put, result, release) goes through one
//      ring in program order, so a release never overtakes the message that replaces it.
//   2. Each entry of the local table stands for one reference in the node's table. A question for
//      a value holds the entry until it is answered, so the node, who reads a release, knows that
//      nothing it has told this process about that object is still to be read.
//   3. A task record is claimed before it is popped (claim.h); but a constructor, or a call of an
//      actor, that cannot be run now is stashed unclaimed, and claimed when it is run. So `claimed` says in either case
//      how far the worker has come.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "ipc/bell.h"
#include "ipc/claim.h"
#include "ipc/cursor.h"
#include "ipc/link.h"
#include "node/client.h"
#include "os/event_watch.h"
#include "os/thread.h"

namespace bolide::node {

// A task as it was sent. A short one has been copied out of the ring; what `held` tells of lies there,
// or where it was put aside, until task_taken().
struct TaskView {
  static constexpr uint64_t kShort = 256;  // of what follows the header
  ipc::TaskHeader header;
  const uint64_t* dependencies;
  const uint64_t* contained;
  const std::byte* arguments;
  const char* name;
  const std::byte* values;  // of the dependencies, each as in kValue
  uint64_t value_bytes;
  bool held;
  alignas(8) std::byte copy[kShort];
};

class BOLIDE_API WorkerClient : public Client {
 public:
  struct Descriptors {
    os::Fd link, socket, bell, waiter_event, supervisor_event, attention_event, owner;
  };
  // attach maps the link and says hello. After a fork, in the new process, before any thread.
  static Result<std::unique_ptr<WorkerClient>> attach(Descriptors descriptors);
  ~WorkerClient() override;

  // --- the main thread's loop
  enum class Next : uint8_t { kTask, kNothing, kShutdown };
  // next_task gives the next task, waiting for it until `until`; 0: for some microseconds, without
  // sleeping. `waited` is set when there was none at once. kShutdown: the node wants this process
  // to end, or is gone.
  Next next_task(TaskView* task, Nanos until, bool* waited);
  // inline_task gives the task for which wait() returned kRunTask.
  Next inline_task(TaskView* task);
  // task_taken: the view, which is held, has been decoded; its bytes may go.
  void task_taken();
  // become_actor: this worker is an actor's from now on. What it is sent is handed back only if it
  // is cancelled.
  void become_actor();
  // hand_back_cancelled, on the main thread, gives back a call that has not begun; false: it has, or
  // is about to.
  bool hand_back_cancelled(uint64_t sequence);
  // stop_tasks: next_task gives nothing more but kShutdown.
  void stop_tasks();
  // --- an actor's event loop, which takes calls and sleeps in its own way (worker_event_loop.cpp)
  // enter_loop: from now on `queue` is pushed 0 when the loop has to look although it sleeps, and
  // objects can be watched.
  void enter_loop(std::shared_ptr<CompletionQueue> queue);
  int loop_fd() const { return socket_.get(); }  // readable when the node wakes the loop
  // poll_task is next_task for it: it never sleeps, but spins if it may; kNothing also when an
  // object that is watched has become ready.
  enum class Spin : uint8_t { kNo, kShort, kWhole };
  Next poll_task(TaskView* task, Spin spin);
  // loop_sleeps: false: look again; true: sleep on loop_fd and the queue's descriptor, then
  // loop_wakes.
  bool loop_sleeps();
  void loop_wakes();
  // read_wakes empties the socket.
  void read_wakes();

  // leave tells that the actor ends, and why; the process is to follow.
  void leave(ipc::ExitKind kind, std::string_view text);
  // function_value is an exported function's bytes, nullptr when it was never sent.
  const std::byte* function_value(uint64_t function, uint64_t* size);
  // forgotten returns functions that nobody can call any more.
  std::vector<uint64_t> forgotten();

  // --- interrupts (ipc/interrupt.h): the sequence that the node wants to interrupt and this process
  // has not dealt with, 0 if there is none; that it has; whether that task is on the stack.
  uint64_t interrupt_word();
  void interrupt_done(uint64_t sequence);
  bool runs(uint64_t sequence);
  // note_interrupt: that task is interrupted now.
  void note_interrupt(uint64_t sequence);

  // devices are the GPUs of the task that runs; they change where it has ipc::kNewDevices.
  std::vector<ipc::DeviceShare> devices();

  // --- results: begin, one add for each return, end
  void begin_result(uint64_t sequence, uint32_t returns, uint32_t flags);
  void add_inline(const void* data, uint64_t size, std::span<const uint64_t> contained,
                  uint8_t flags);
  void add_stored(const store::Slot& slot, std::span<const uint64_t> contained, uint8_t flags);
  void end_result(Nanos duration);

  // --- streams, for the task that runs: how far it may go, see ipc::CreditRecord. await_credit
  // waits until item `index` may be yielded, in turns as wait() does.
  ipc::CreditRecord credit(uint64_t sequence);
  WaitResult await_credit(uint64_t sequence, uint64_t index, Nanos until, WaitMode& mode);
  // watch_credit is for an event loop: `token` is pushed when that item may be yielded, or the call
  // has ended.
  void watch_credit(uint64_t sequence, uint64_t index, std::shared_ptr<CompletionQueue> queue,
                    uint64_t token);
  // one item: begin, one add, end.
  void begin_yield(uint64_t sequence, uint64_t index);
  void end_yield();

  // pin_argument records where a dependency that came with a task lies, and pins it.
  void pin_argument(ObjectEntry* entry, const Location& where);
  // expect_argument records that one is not in memory, for fetch().
  void expect_argument(ObjectEntry* entry, uint64_t size);

  void write_output(uint32_t stream, std::string_view line);
  void trace(const ipc::TraceRecord& record, std::string_view name);

  // Client
  Result<ObjectEntry*> submit(const SubmitRequest& request) override;
  Status define_class(uint64_t key, Quantities need, const Quantities* kept,
                      const EnvironmentName& environment, GroupPlace place) override;
  Status remove_group(ObjectId group) override;
  ObjectEntry* stream_next(ObjectEntry* stream, uint64_t taken) override;
  void cancel(ObjectEntry* entry, bool force, bool recursive) override;
  bool is_actor_call(ObjectEntry*) override { return false; }
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
  const std::byte* resolve(const Location& where) override { return views_.resolve(where); }
  Status fetch(ObjectEntry* entry, Nanos until) override;
  // forget_failure: nobody will ask any more why the value could not be brought back, as get() of a
  // list that raises for one of those before it.
  void forget_failure(const ObjectEntry* entry);
  ObjectEntry* acquire(ObjectId id) override;
  ObjectEntry* acquire_known(ObjectId id) override;
  ObjectEntry* find(ObjectId id) override;
  void add_reference(ObjectEntry* entry) override;
  void release(ObjectEntry* entry) override;
  void ask(std::span<ObjectEntry* const> entries, bool value) override;
  WaitResult wait(std::span<ObjectEntry* const> entries, uint32_t needed, Nanos until,
                  WaitMode& mode) override;
  void end_wait(WaitMode& mode) override;
  Status watch(ObjectEntry* entry, std::shared_ptr<CompletionQueue> queue,
               uint64_t token) override;

 protected:
  // Pump
  bool drain() override;
  bool looks_empty() const override;
  void before_sleep() override;
  bool sleep(Nanos until) override;
  void after_sleep() override;
  void before_follow() override { ring_for_unread(); }
  void lead_ends() override;

 private:
  friend class Inspector;  // of the simulator: it looks, and changes nothing

  explicit WorkerClient(Nanos spin) : Client(spin) {}

  template <class Fill>
  void push(ipc::RecordType type, uint64_t size, Fill fill);
  template <class Fill>
  void push_sized(ipc::RecordType type, uint64_t size, MutexLock& lock, Fill fill);
  void push_ids(ipc::RecordType type, std::span<const uint64_t> ids);
  std::byte* room(uint64_t size, uint16_t type);
  void publish(ipc::Urgency moment);
  void ring_for_unread();
  void flush_releases();
  WaitResult lend_cpu(Waiter& waiter, const std::vector<ObjectEntry*>& pending, Nanos until,
                      WaitMode& mode, MutexLock& lock);
  void declare_blocked(const std::vector<ObjectEntry*>& pending, WaitMode& mode);
  void open_stream(ObjectId handle, uint32_t limit);
  void ask_items(ObjectEntry* handle, uint64_t taken);

  // handle_record does what the record says. False: it is a task for task_waiter_ and stays.
  bool handle_record(ipc::Record& record);
  void handle(ipc::RecordType type, const std::byte* data, uint64_t size);
  void on_value(ipc::Reader& in);
  void on_recall(ipc::Reader& in);
  bool is_fetching(const ObjectEntry* entry) const;
  bool is_awaited(const ObjectEntry* entry) const;
  Status fetch_locked(ObjectEntry* entry, Nanos until, MutexLock& lock);
  void arrive(ObjectEntry* entry, const Location& where);
  void set_away(ObjectEntry* entry, uint64_t size);
  void forget(ObjectEntry* entry);
  void give_up_reference(ObjectEntry* entry);
  void unwatch(ObjectEntry* entry, Waiter* waiter);
  void on_chunk(ipc::Reader& in);
  void on_credit(ipc::Reader& in);
  void end_credit_watches(uint64_t sequence, uint64_t upto);
  bool accepts(const ipc::TaskHeader& header) const;
  ipc::RecordType unwrap(const ipc::Record& record, const std::byte** data, uint64_t* size,
                         Location* jumbo_at);
  void release_space(bool all = false);
  std::byte* grow_result(uint64_t size);
  void attend();
  void free_span(const Location& where);
  void return_chunks(const std::vector<ChunkId>& chunks);
  Next take_next(Waiter& waiter, TaskView* task, bool reads_ring);
  bool take_task(TaskView* task);
  void read_task(const std::byte* data, uint64_t size, TaskView* task);
  void begin_running(TaskView* task);
  void take_stashed(TaskView* task);
  void end_running(uint64_t sequence);
  void prepare_sleep(ipc::Waiting how);
  os::Fd receive_chunk(uint32_t chunk);
  void free_jumbo(const Location& where);
  void value_ready(ObjectEntry* entry);
  Status reserve_locked(uint64_t size, bool alone, bool control, Nanos deadline, MutexLock& lock,
                        store::Slot* slot);
  ObjectId next_ids(uint32_t count);
  [[noreturn]] void give_up(const char* why);

  ipc::LinkHeader header_{};
  os::Mapping link_memory_;
  os::Mapping bell_memory_;
  os::Fd socket_;
  os::Fd events_[2];
  os::Fd attention_event_;
  os::Fd owner_;
  std::optional<os::EventWatch> watch_;  // what the attendant waits for
  ipc::RingConsumer tasks_;
  ipc::RingProducer replies_;
  ipc::BellReader bell_;
  store::ObjectTable table_;
  store::Arena arena_;
  uint64_t next_counter_ = 1;

  // tasks
  Waiter* idle_waiter_ = nullptr;  // the thread in next_task
  Waiter* task_waiter_ = nullptr;  // the thread that takes tasks now: idle, or blocked and able
  bool inline_only_ = false;       // it takes only what it waits for
  std::atomic<bool> task_at_head_{false};
  std::vector<uint64_t> interrupted_;  // those of `running_` that were interrupted
  std::vector<uint64_t> running_;  // sequences of the tasks on the stack, the one on top last
  std::vector<ipc::DeviceShare> devices_;
  bool new_devices_ = false;
  Location taken_jumbo_{};      // of the task that is being decoded
  bool holds_record_ = false;   // a task's record is being decoded: its space must stay
  bool shutdown_ = false;
  bool is_actor_ = false;
  bool stopped_ = false;
  std::deque<std::vector<std::byte>> stash_;  // constructor and calls that came while none could be run
  std::vector<std::byte> unstashed_;          // the one that is being decoded
  std::unordered_map<uint64_t, std::vector<std::byte>> functions_;
  std::vector<uint64_t> forgotten_;
  std::shared_ptr<CompletionQueue> loop_queue_;
  bool loop_asleep_ = false;
  std::deque<std::pair<uint32_t, os::Fd>> received_;  // descriptors that came with wake-ups
  std::vector<std::byte> result_;

  // streams: the credit of tasks by their sequence, and the threads and event loops that wait for
  // some; the items that were asked for, by the stream's object.
  struct CreditWatch {
    uint64_t sequence, index;
    std::shared_ptr<CompletionQueue> queue;
    uint64_t token;
  };
  struct Ahead {
    std::deque<ObjectEntry*> items;
    uint32_t batch = 1;  // how many to ask for next
    uint32_t most = 1;
  };
  std::unordered_map<uint64_t, ipc::CreditRecord> credits_;
  std::vector<Waiter*> credit_waiters_;
  std::vector<CreditWatch> credit_watches_;
  std::unordered_map<uint64_t, Ahead> streams_;

  // waiting
  bool awaits_taker_ = false;  // who leads can read on when the task at the head has been taken
  std::atomic<uint32_t> heads_taken_{0};  // futex word of that
  uint32_t signal_ = 0;  // of the word it sleeps on, before the last look at the ring
  std::unordered_map<uint64_t, std::vector<Waiter*>> watchers_;
  std::unordered_map<uint64_t,
                     std::vector<std::pair<std::shared_ptr<CompletionQueue>, uint64_t>>>
      queues_;  // the same for event loops
  std::vector<ObjectEntry*> fetching_;  // that threads of this process wait for in fetch()
  // Why values could not be brought back, for those who wait for them now: a later question may have
  // another answer.
  std::unordered_map<uint64_t, std::string> unfetchable_;
  std::vector<Waiter*> chunk_waiters_;
  bool chunk_asked_ = false;
  uint64_t asked_size_ = 0;
  Status chunk_refused_;  // the last answer, to a question for refused_size_
  uint64_t refused_size_ = 0;

  Mutex release_mutex_;
  std::vector<ObjectEntry*> released_ GUARDED_BY(release_mutex_);
  std::atomic<bool> has_released_{false};
  os::Thread attendant_;
};

}  // namespace bolide::node

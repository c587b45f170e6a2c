// scheduler: which ready task goes to which worker, and when to start, relieve or retire one.
//
// A pure state machine over tasks, workers and time: it starts no process, reads no clock and
// touches no shared memory, so the simulator runs it with seeds. What it decides is carried
// out by Actions. Not thread safe: the node's lock guards it.
//
// Policy, in the order of importance (docs/design.md tells why):
//   - Hot first: a tiny task goes to the worker used last while that one has less than about
//     100 us of work queued; the next worker is woken only when the backlog pays for it.
//   - Tasks that are not tiny, or of unknown length, spread over idle workers first.
//   - What is queued behind a task that turns out long is taken back as soon as a CPU is free.
//   - A blocked worker lends its CPU. Above `max_blocked` of them, one that waits for an
//     unstarted task runs it itself before another process is started.
//   - A class that found no room for 50 ms gets the next room, whoever else is ready.
//   - A task of a dedicated class takes an idle worker out of the pool (dedicated.cpp).
//   - A worker has one environment for life (environment.h).
//   - Placement groups take room out of the ledger, for the tasks of their classes (groups.h).
//
// Invariants
//   1. ledger.total - ledger.free = sum of the needs of leased workers, less the CPU of those
//      that wait, and of what dedicated workers hold; for a group's bundle those of its workers,
//      and for the node the placed groups beside the workers in no group.
//   2. A task is in exactly one place: waiting, in its class's ready queue, or assigned.
//   3. ready() = sum of the queues; behind() = sum of max(0, outstanding - 1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/api.h"
#include "sched/environment.h"
#include "sched/groups.h"
#include "sched/resources.h"
#include "sched/task.h"

namespace bolide::sched {

inline constexpr uint64_t kDefaultClass = 0;

// What the scheduler asks its owner to do. Called with the owner's lock held.
class Actions {
 public:
  virtual ~Actions() = default;
  // Put the task into the worker's ring; `inlined`: to be run on top of a blocked task.
  virtual void assign(Worker& worker, Task& task, bool inlined) = 0;
  virtual void start_worker(Environment& environment) = 0;
  // Take back what the worker has not started; call Scheduler::taken_back for each, last first.
  virtual void take_back(Worker& worker) = 0;
  virtual void retire(Worker& worker) = 0;
  // A ready task of that class whose result the blocked worker waits for, or nullptr.
  virtual Task* awaited_by(Worker& worker, SchedulingClass& cls) = 0;
  // The class's tasks fit on this node never; called once a class.
  virtual void warn_infeasible(SchedulingClass& cls) = 0;
  // The worker begins to run tasks of its class: one with a limit of memory, or the first since
  // announce_lease.
  virtual void leased(Worker& worker) = 0;
  // A task waits for the environment: make it, then call open or close.
  virtual void set_up(Environment& environment) = 0;
  // Whether a heavy task may begin now. If not, it is the owner's to submit again.
  virtual bool admits(Task&) { return true; }
};

struct Policy {
  int cores = 1;
  uint32_t max_blocked = 4;               // workers that wait, above which tasks are inlined
  Nanos pipeline = 100'000;               // work queued in a ring
  uint32_t max_depth = 1024;              // tasks in a ring
  Nanos tiny = 20'000;                    // tasks shorter than this go to the hot worker
  Nanos stuck = 1'000'000;                // no progress for this long: relieve the worker
  Nanos starving = 50'000'000;
  Nanos retire_after = 1'000'000'000;     // idle beyond the number of CPUs
  Nanos keep_away = 10'000'000'000;       // idle in another environment than the job's
  Nanos start_pause = 10'000'000;         // between starts above max_blocked, doubling
  uint32_t max_zero_cpu = 32;             // workers for tasks that need no CPU
  size_t max_starting = 16;               // requests to the template at a time
  Nanos longest_pause = 50'000'000;       // between looks that change nothing
};

class BOLIDE_API Scheduler {
 public:
  Scheduler(const Policy& policy, Actions& actions);

  Ledger& ledger() { return ledger_; }
  const Ledger& ledger() const { return ledger_; }
  const Policy& policy() const { return policy_; }

  // cls finds a class by key; define makes it.
  SchedulingClass* cls(uint64_t key);
  SchedulingClass* define(uint64_t key, Need need);
  // define_dedicated: its tasks get a worker each, which keeps `kept`, a part of `need`.
  SchedulingClass* define_dedicated(uint64_t key, Need need, Need kept);
  // join: the tasks of a class that was just defined find room in this group only, in one bundle
  // or in any. They wait while the group does.
  void join(SchedulingClass* cls, Group* group, int32_t bundle);
  SchedulingClass* default_class() { return default_; }
  // feasible: the class's tasks can run here at some time.
  bool feasible(const SchedulingClass& cls) const {
    return cls.group == nullptr ? ledger_.feasible(cls.need) : cls.group->feasible(cls);
  }

  // --- placement groups (groups.cpp); dispatch places them
  // add_group: `possible` false means that its owner knows that no room will do.
  Group* add_group(const std::vector<Need>& bundles, bool possible);
  // remove_group: its classes have no ready tasks any more, and the workers that run its tasks have
  // been killed: they get nothing else. The group ends with the last of them, or at once.
  void remove_group(Group* group);

  // --- environments: home is open until it is closed, the others are not until they are opened
  Environment& home() { return *home_; }
  Environment* environment(uint64_t key);
  Environment& define_environment(uint64_t key);
  // belongs puts a class, before it has tasks, into another environment than home.
  static void belongs(SchedulingClass& cls, Environment& to) { cls.environment = &to; }
  // ask has it set up before a task needs it.
  void ask(Environment& environment);
  // open: its tasks count from now on; dispatch places them.
  void open(Environment& environment);
  // close: it cannot be made. Takes its tasks out of their queues; the next one asks again.
  std::vector<Task*> close(Environment& environment);

  // --- tasks; `now` is a monotonic time
  // submit: the task's dependencies are ready.
  void submit(Task* task, Nanos now);
  // resubmit: queued before all others (a retry, or never started); dispatch places it.
  void resubmit(Task* task);
  // forget: drop a ready task (cancelled).
  void forget(Task* task);
  // take_all_ready empties the environment's queues of tasks that could run here.
  std::vector<Task*> take_all_ready(const Environment& environment);
  void completed(Worker& worker, Task* task, bool inlined, Nanos duration, Nanos now);
  // handed_back: the worker gave the record back unrun.
  void handed_back(Worker& worker, Task* task, bool inlined);
  void taken_back(Worker& worker, Task* task);

  // --- workers
  void worker_starting(Environment& environment);
  void worker_start_failed(Environment& environment);
  void worker_ready(Worker& worker, Nanos now);
  // worker_gone: the owner has already resubmitted or failed its tasks (see abandon).
  void worker_gone(Worker& worker);
  // settled: a dedicated worker has done its first task, and keeps only what its class says.
  void settled(Worker& worker, Task* task);
  // abandon: the worker is dead; this task of it is no longer assigned.
  void abandon(Worker& worker, Task* task);
  void blocked(Worker& worker, bool can_inline);
  void unblocked(Worker& worker);

  // announce_lease: Actions::leased is called for the next worker that begins to run tasks.
  void announce_lease() { announce_lease_ = true; }

  // --- time
  // someone_waits: a thread of the driver is blocked in get or wait, so its core is free.
  void someone_waits(bool waits) { someone_waits_ = waits; }
  // dispatch places what can be placed now.
  void dispatch(Nanos now);
  // next_look: when dispatch should be called again although nothing happens.
  std::optional<Nanos> next_look(Nanos now) const;

  // for_each_queued visits every task in a queue, those included that can never run here.
  template <class Visit>
  void for_each_queued(Visit visit) {
    for (const auto& cls : classes_) {
      for (Task* task = cls->ready.front(); task != nullptr; task = task->next) visit(task);
    }
  }

  size_t ready() const { return ready_; }
  size_t behind() const { return behind_; }
  size_t idle() const { return home_->idle.size() + idle_away_; }
  size_t starting() const { return starting_; }
  size_t alive() const { return alive_; }  // without the dedicated ones
  size_t dedicated() const { return dedicated_; }
  size_t waiting_workers() const { return waiting_; }

  // audit checks the invariants over `workers` (tests, simulator, BOLIDE_AUDIT builds).
  bool audit(const std::vector<Worker*>& workers) const;

 private:
  bool place(Task* task, Nanos now);
  bool place_dedicated(Task* task, Nanos now);
  void place_groups(Nanos now);
  void dissolve(Group* group, bool placed);
  Room* room_for(const SchedulingClass& cls) {
    if (cls.group != nullptr) return cls.group->room_for(cls);
    return ledger_.fits(cls.need) ? &ledger_ : nullptr;
  }
  bool fits(const SchedulingClass& cls) const {
    return cls.group == nullptr ? ledger_.fits(cls.need) : cls.group->room_for(cls) != nullptr;
  }
  bool has_cpu_for(const SchedulingClass& cls, size_t workers) const;
  static const Need& held_by(const Worker& worker);
  void pin(const Need& need, int sign);
  void drain(SchedulingClass& cls, Nanos now);
  void assign(Worker& worker, Task* task, bool inlined);
  bool worth_another(const SchedulingClass& cls) const;
  void start_for(const SchedulingClass& cls, Nanos now);
  bool may_start(const SchedulingClass& cls, Nanos now);
  bool inline_one(SchedulingClass& cls);
  void lease(Worker& worker, SchedulingClass& cls, Nanos now);
  void announce(Worker& worker);
  void enter_room(Worker& worker, SchedulingClass& cls);
  void leave_room(Worker& worker, const Need& need);
  void end_lease(Worker& worker, Nanos now);
  void relieve(Nanos now);
  void retire_idle(Nanos now);
  void retire(Worker& worker);
  bool spare_at_home() const;
  size_t kept_idle() const;
  Nanos retires_at(const Worker& worker) const;
  std::optional<Nanos> next_retirement() const;
  void put_idle(Worker& worker, bool hottest);
  void take_idle(Worker& worker);
  void leaves_pool(Worker& worker);
  void warn(SchedulingClass& cls);
  bool attainable(const SchedulingClass& cls) const;
  SchedulingClass* starved_longer(SchedulingClass* oldest, SchedulingClass* cls, Nanos now) const;
  SchedulingClass* starving(Nanos now) const;
  void queue(Task* task, bool front);
  void unqueue(Task* task);
  void leave_ring(Worker& worker);
  void end_inlined(Worker& worker);
  void settle_cpu(Worker& worker, bool was_waiting);
  void set_depth(Worker& worker);

  const Policy policy_;
  Actions& actions_;
  Ledger ledger_;
  std::vector<std::unique_ptr<Environment>> environments_;  // home first
  Environment* home_;
  std::vector<std::unique_ptr<SchedulingClass>> classes_;
  std::unordered_map<uint64_t, SchedulingClass*> by_key_;
  SchedulingClass* default_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::vector<Group*> waiting_groups_;    // oldest first
  SchedulingClass* reserved_ = nullptr;   // the starving class that gets the next room
  std::vector<SchedulingClass*> active_;  // classes with ready tasks
  std::vector<Worker*> leased_;
  size_t ready_ = 0;
  size_t behind_ = 0;
  size_t starting_ = 0;
  size_t alive_ = 0;
  size_t dedicated_ = 0;
  size_t idle_away_ = 0;  // workers of other environments than home
  std::vector<Amount> pinned_;  // what dedicated workers hold, by resource
  size_t waiting_ = 0;
  Nanos next_start_ = 0;
  Nanos pause_ = 0;      // twice the time to the next look
  Nanos looked_at_ = 0;  // when a look last made the pause longer
  bool someone_waits_ = false;
  bool announce_lease_ = true;
};

}  // namespace bolide::sched

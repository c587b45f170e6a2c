// client: what a process that uses the node can ask of it. The embedded driver's client is the
// node itself (node.h); a worker's client speaks through its rings (worker_client.h). The Cython
// hot path is written once, against this interface.
//
// Thread safety: all methods from any thread, unless said otherwise.
//
// References: every ObjectEntry* that a method returns carries one reference for the caller, who
// gives it back with release(). An entry with a reference stays where it is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/api.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "ipc/records.h"
#include "node/pump.h"
#include "os/event.h"
#include "store/arena.h"
#include "store/copy_crew.h"
#include "store/object_table.h"
#include "store/views.h"

namespace bolide::node {

using store::ObjectEntry;

// One call of a remote function, encoded.
struct SubmitRequest {
  uint64_t function = 0;  // object id of the exported function
  uint64_t scheduling_class = 0;
  const uint64_t* dependencies = nullptr;  // top-level references among the arguments
  const uint64_t* contained = nullptr;     // references nested in arguments
  const std::byte* arguments = nullptr;
  const char* name = nullptr;  // for messages; none: the function's
  uint32_t dependency_count = 0;
  uint32_t contained_count = 0;
  uint32_t argument_bytes = 0;
  uint32_t name_bytes = 0;
  uint32_t returns = 1;
  int32_t max_retries = 3;
  uint32_t flags = 0;
  // In a worker: the sequence of the call in which this is submitted. By default that of the task
  // on top of the stack; an actor that runs several calls must say, 0 for none.
  uint64_t caller = UINT64_MAX;
  uint32_t stream_limit = 0;  // of a stream: items that it may be ahead; 0: no limit
};

// A placement group and one of its bundles, from 0; -1: any. 0: no group.
struct GroupPlace {
  uint64_t group = 0;
  int32_t bundle = -1;
};

// Tokens of watched objects that have become ready, and an event that an event loop or a service
// thread sleeps on.
class BOLIDE_API CompletionQueue {
 public:
  static Result<std::shared_ptr<CompletionQueue>> create();
  void push(uint64_t token);
  std::vector<uint64_t> take();
  // close lets go of the descriptor; pushes are kept, but nobody is woken any more.
  void close();
  int fd() const { return event_.fd(); }

 private:
  Mutex mutex_;
  std::vector<uint64_t> done_ GUARDED_BY(mutex_);
  os::Event event_;
};

// How a thread waits, kept between the turns of one wait. In a driver it has no meaning.
struct WaitMode {
  bool runs_task = false;   // it is the thread that runs the worker's task: it lends its CPU
  bool can_inline = false;  // in get() without a limit: it may run a task that it waits for
  bool declared = false;    // the node has been told that it is blocked
};

// What reserve() says when a chunk of its own is refused.
inline Status too_many_alone() {
  return Status(Code::kNotFound,
                "too many objects of this process have shared memory of their own; descriptors "
                "are scarce");
}

class BOLIDE_API Client : public Pump {
 public:
  using Pump::Pump;

  // --- tasks
  // submit queues the call; the entry is the first return's, find() gives the others, and for a
  // stream the one behind its return, each with one reference. Fails only when the runtime is closed.
  virtual Result<ObjectEntry*> submit(const SubmitRequest& request) = 0;
  // define_class makes a scheduling class known; amounts in 1/10000, `key` as computed by the
  // caller from all that follows. Idempotent. With `kept` it is a class of constructors: what
  // their actors hold for life. The description of an environment is the binding's; it comes back
  // in the driver when a task waits for one that is not set up. `place`: in a placement group.
  using Quantities = std::span<const std::pair<std::string, int64_t>>;
  struct EnvironmentName {
    uint64_t key = 0;  // 0: the job's
    std::string_view description;
  };
  virtual Status define_class(uint64_t key, Quantities need, const Quantities* kept,
                              const EnvironmentName& environment, GroupPlace place) = 0;
  // remove_group ends a placement group, and what waits or runs in it.
  virtual Status remove_group(ObjectId group) = 0;

  // --- actors
  // is_actor_call tells whether the pending object is made by a call of an actor. In a worker, which
  // does not know that of all references, it may be false all the same.
  virtual bool is_actor_call(ObjectEntry* entry) = 0;
  // kill_actor ends the actor's process at once; unless `no_restart`, it may start again.
  virtual Status kill_actor(ObjectId actor, bool no_restart) = 0;
  // query asks the node; the entry becomes ready with the answer (records.h tells its bytes).
  virtual Result<ObjectEntry*> query(ipc::QueryKind kind, std::string_view text) = 0;

  // stream_next is the next item of a stream, which may be pending, or the end of the stream: an
  // object that is ready, a system error of that kind. `taken`: how many items the consumer has
  // taken by now; the object that is returned does not count until it is said here.
  virtual ObjectEntry* stream_next(ObjectEntry* stream, uint64_t taken) = 0;
  // cancel ends the task that makes the object, if it has not ended, and, `recursive`, the tasks
  // that it has started. One that has begun is interrupted; `force`: its worker is killed.
  virtual void cancel(ObjectEntry* entry, bool force, bool recursive) = 0;

  // --- objects
  virtual Result<ObjectEntry*> put_inline(const void* data, uint64_t size,
                                          std::span<const uint64_t> contained,
                                          uint8_t flags) = 0;
  // reserve gives room in the store to write an object into; then put_stored, or abandon.
  // kTimeout: call again, memory may come back; kFull, kDiskFull and a sentence: nothing has come
  // back for long, `since` being when the first of these calls was made. `alone`: in a chunk that holds nothing
  // else, so that leave() can end the writing; kNotFound when there are too many of those.
  virtual Result<store::Slot> reserve(uint64_t size, bool alone, Nanos since,
                                      Nanos deadline) = 0;
  // leave makes what lies at the slot's address read-only for good, in microseconds; the memory is
  // the caller's to unmap. On failure it can still be written.
  virtual Result<os::Mapping> leave(const store::Slot& slot) = 0;
  // put_stored makes an object of it. `pinned`: it is read in place, so it stays where it is until
  // its presence is unpinned.
  virtual Result<ObjectEntry*> put_stored(const store::Slot& slot,
                                          std::span<const uint64_t> contained, uint8_t flags,
                                          bool pinned) = 0;
  virtual void abandon(const store::Slot& slot) = 0;
  // note_site tells the node where in the program an object was made that this process has just put,
  // or the `returns` objects of a call, of which this is the first. What was noted first stays.
  virtual void note_site(ObjectEntry* first, uint32_t returns, std::string_view text) = 0;
  // resolve is where a stored value can be read in this process, as long as the object or its
  // chunk is pinned; nullptr when it is gone.
  virtual const std::byte* resolve(const Location& where) = 0;
  // fetch pins a stored value that could not be pinned at once, because its bytes are elsewhere.
  // kTimeout: not by `until`; look for signals and call again. Otherwise it cannot be had:
  // kNotFound (lost), kFull or kDiskFull (no room to bring it back), with a sentence.
  virtual Status fetch(ObjectEntry* entry, Nanos until) = 0;

  // --- references
  // acquire adds a reference to an object named by its id (found in a message); nullptr when
  // the object does not exist (any more).
  virtual ObjectEntry* acquire(ObjectId id) = 0;
  // acquire_known does so only if this process knows the object: the node is not asked.
  virtual ObjectEntry* acquire_known(ObjectId id) = 0;
  // find is the entry of an object to which this process holds a reference already.
  virtual ObjectEntry* find(ObjectId id) = 0;
  virtual void add_reference(ObjectEntry* entry) = 0;
  // release may be called from a finaliser: it only notes the entry.
  virtual void release(ObjectEntry* entry) = 0;

  // --- waiting; the calling thread must not hold the GIL for long turns
  // ask tells the node that values (or, `value` false, only readiness) will be waited for.
  virtual void ask(std::span<ObjectEntry* const> entries, bool value) = 0;
  virtual WaitResult wait(std::span<ObjectEntry* const> entries, uint32_t needed, Nanos until,
                          WaitMode& mode) = 0;
  // end_wait is called once after the last turn, whatever its result.
  virtual void end_wait(WaitMode& mode) = 0;
  // watch pushes `token` when the entry is ready (at once if it is). kInvalid in a worker, whose
  // rings nobody drains while user code runs.
  virtual Status watch(ObjectEntry* entry, std::shared_ptr<CompletionQueue> queue,
                       uint64_t token) = 0;

  store::Views& views() { return views_; }
  store::CopyCrew& crew() { return crew_; }
  uint64_t session() const { return session_; }
  uint64_t inline_limit() const { return inline_limit_; }

 protected:
  store::Views views_;
  store::CopyCrew crew_;
  uint64_t session_ = 0;
  uint64_t inline_limit_ = 8192;
};

}  // namespace bolide::node

// sim_worker: a worker process as a state machine. It reads and writes its link's real rings by the
// real protocols (claims, bell, chunks, references), one small step at a time, and can be killed
// between any two of them: between reserving, filling, committing and publishing a record, and
// between storing a claim and looking at the record's mark.
//
//   sim_worker.cpp          when it can do something, speaking, sleeping
//   sim_worker_reading.cpp  claims, and what else the node sends
//   sim_worker_waits.cpp    references, the beginning of a task, waiting
//   sim_worker_program.cpp  what the task does
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "ipc/bell.h"
#include "ipc/claim.h"
#include "node/worker_link.h"
#include "simulator/oracle.h"
#include "simulator/wire.h"
#include "store/arena.h"
#include "store/views.h"

namespace simulator {

using namespace bolide;
using node::WorkerLink;

// How long a worker waits before it lends its CPU.
inline constexpr Nanos kTryBeforeLending = 20'000;

// What a worker asks of the world around it.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  virtual Nanos now() const = 0;
  virtual void ring(ipc::Bell bell) = 0;
  virtual Oracle& oracle() = 0;
  virtual const Load& load() const = 0;
  virtual void trace(const char* format, ...) __attribute__((format(printf, 2, 3))) = 0;
};

class SimWorker {
 public:
  SimWorker(WorkerHost& host, WorkerLink& link, const ipc::BellPage* bell, uint64_t seed);

  // wakes is when it can do its next step: not later than now if at once, INT64_MAX if only
  // somebody else can wake it.
  Nanos wakes();
  void step();
  // kill ends it at once; its memory stays as it is.
  void kill();
  bool gone() const { return gone_; }
  uint32_t id() const { return id_; }
  bool holds(uint64_t object) const { return table_.contains(object); }
  size_t held() const { return table_.size(); }
  std::string describe() const;

 private:
  // An object that this process holds, as an entry of WorkerClient's table.
  struct Local {
    uint32_t refs = 0;
    bool ready = false;
    bool known_ready = false;
    bool asked = false;
    bool asked_ready = false;
    uint8_t flags = 0;
    std::optional<Location> where;
    std::vector<std::byte> bytes;
  };
  struct Outgoing {
    ipc::RecordType type;
    std::vector<std::byte> bytes;
    std::optional<ipc::Urgency> publish;  // after it
    uint64_t result_of = 0;
  };
  struct Waiting {
    uint64_t object = 0;  // 0: for room in the store
    bool value = true;
    bool can_inline = false;
    bool declared = false;
    Nanos lend_at = 0;
    Nanos until = INT64_MAX;
  };
  struct Dependency {
    uint64_t digest;
    std::vector<uint64_t> inner;
  };
  struct Frame {
    uint64_t task = 0;
    uint64_t sequence = 0;
    uint64_t function = 0;
    bool inlined = false;
    TaskSpec spec;
    Program program;
    std::vector<Dependency> dependencies;
    size_t dependency = 0;  // next to be unpacked
    size_t op = 0;
    bool op_half = false;  // its first part is done
    bool returning = false;
    size_t returned = 0;
    uint64_t digest = 0;
    std::vector<uint64_t> slots;
    std::vector<uint64_t> held_by_result;
    uint64_t inner = 0;  // a reference that was found in a value
    Nanos began = 0;
    Nanos busy_until = 0;
    std::optional<Waiting> waiting;
    std::vector<std::byte> error;  // the value that it passes on instead of its own
    std::vector<std::byte> result;
    uint32_t values = 0;
  };
  struct Claim {
    ipc::Record record;
    ipc::TaskHeader header;
    ipc::Purpose purpose;
    bool top;
    Location jumbo;
  };

  // ---- the ring's side
  void push(ipc::RecordType type, std::vector<std::byte> bytes,
            std::optional<ipc::Urgency> publish = std::nullopt, uint64_t result_of = 0);
  template <class Fixed>
  void push_with_ids(ipc::RecordType type, const Fixed& fixed, std::span<const uint64_t> ids,
                     std::optional<ipc::Urgency> publish = std::nullopt) {
    std::vector<std::byte> record;
    append(record, fixed);
    append_ids(record, ids);
    push(type, std::move(record), publish);
  }
  // push_sized: false: it is too large for the ring and there is no room for it in the store yet.
  bool push_sized(ipc::RecordType type, const std::vector<std::byte>& bytes,
                  std::optional<ipc::Urgency> publish, uint64_t result_of = 0);
  void speak();
  void publish(ipc::Urgency moment);
  bool read_one();
  void begin_claim(const ipc::Record& record, const ipc::TaskHeader& header, Location jumbo);
  void end_claim();
  void take_task(const Claim& claim);
  void handle(ipc::RecordType type, const std::byte* data, uint64_t size);
  void on_value(ipc::Reader& in);
  void on_chunk(ipc::Reader& in);
  void release_space();
  void free_jumbo(const Location& where);
  void nap();
  bool asleep_for_good() const;
  bool accepts(const ipc::TaskHeader& header) const;

  // ---- the program's side
  void run(Frame& frame);
  void run_op(Frame& frame, const Op& op);
  void run_submit(Frame& frame, const Op& op);
  void run_put(Frame& frame, const Op& op);
  void run_return(Frame& frame);
  void wait_step(Frame& frame);
  bool wait_is_over(const Frame& frame);
  // got: the value of an object, or nothing while it is waited for.
  std::optional<Oracle::Read> got(Frame& frame, uint64_t object);
  // get_inner: the first of `ids` is got and given up again; true when that is done.
  bool get_inner(Frame& frame, std::span<const uint64_t> ids);
  void end_wait(Frame& frame);
  void pass_error(Frame& frame, uint64_t object);
  std::optional<store::Slot> slot_for(Frame* frame, uint64_t size, bool control);
  Oracle::Read read_local(uint64_t object);
  void acquire(uint64_t object);
  void release(uint64_t object) { released_.push_back(object); }
  void flush_releases(std::optional<ipc::Urgency> publish = std::nullopt);
  uint64_t next_ids(uint32_t count);
  std::vector<uint64_t> pick(const Frame& frame, const std::vector<uint32_t>& slots) const;

  WorkerHost& host_;
  Random random_;
  const uint32_t id_;
  const uint32_t client_;
  os::Fd socket_;
  ipc::RingConsumer tasks_;
  ipc::RingProducer replies_;
  ipc::BellReader bell_;
  store::Arena arena_;
  store::Views views_;
  std::map<uint64_t, Local> table_;
  std::set<uint64_t> functions_;
  std::vector<Frame> frames_;
  std::vector<uint64_t> kept_;
  std::vector<uint64_t> released_;
  uint64_t next_counter_ = 1;

  std::deque<Outgoing> outbox_;
  enum class Speaking { kNothing, kReserved, kCommitted } speaking_ = Speaking::kNothing;
  bool no_space_ = false;
  uint32_t space_signal_ = 0;
  std::vector<uint64_t> committed_;  // tasks whose results are in the ring and cannot be seen

  std::optional<Claim> claim_;
  enum class Nap { kAwake, kAnnounced, kAsleep } nap_ = Nap::kAwake;
  uint32_t signal_ = 0;
  Nanos sleep_until_ = INT64_MAX;
  bool rung_ = false;  // kWhenEmpty was asked since there was a task
  bool chunk_asked_ = false;
  bool chunk_refused_ = false;
  int refusals_ = 0;
  bool shutdown_ = false;
  bool gone_ = false;
};

}  // namespace simulator

// claim_testing: a node and a worker over one ring, reduced to what take-back is about: who runs
// which task. Not a test itself.
#pragma once

#include <deque>
#include <vector>

#include "ipc/claim_stepped.h"
#include "ipc/ring_testing.h"

namespace bolide::ipc::testing {

struct Payload {
  uint64_t sequence;
  uint64_t task;
};

struct NodeSide {
  explicit NodeSide(Ring& shared) : ring(shared) {}

  bool send(uint64_t task) {
    std::byte* to = ring.in.reserve(sizeof(Payload), 1);
    if (to == nullptr) return false;
    const Payload payload{next_sequence++, task};
    std::memcpy(to, &payload, sizeof payload);
    outstanding.push_back({payload.sequence, ring.in.commit()});
    tasks.push_back(task);
    return true;
  }
  void publish() {
    Interleaving::step("node.publish");
    ring.in.publish();
  }

  // take returns the tasks that are the node's again, in order.
  std::vector<uint64_t> take() {
    const std::vector<Candidate> candidates(outstanding.begin(), outstanding.end());
    const size_t taken = take_back(ring.in, candidates);
    Interleaving::step("node.decided");
    std::vector<uint64_t> back(tasks.end() - static_cast<std::ptrdiff_t>(taken), tasks.end());
    outstanding.resize(outstanding.size() - taken);
    tasks.resize(tasks.size() - taken);
    return back;
  }

  Ring& ring;
  uint64_t next_sequence = 1;
  std::deque<Candidate> outstanding;
  std::deque<uint64_t> tasks;  // beside outstanding
};

struct WorkerSide {
  enum class Did { kNothing, kClaimed, kRefused };

  explicit WorkerSide(Ring& shared) : ring(shared) {}

  // turn takes the next record, if there is one.
  Did turn(Purpose purpose, uint64_t* task, uint64_t* sequence = nullptr) {
    Interleaving::step("worker.peek");
    Record record;
    if (ring.out.peek(record) != RingConsumer::Peek::kRecord) return Did::kNothing;
    Payload payload;
    std::memcpy(&payload, record.payload, sizeof payload);
    const bool mine = try_claim(ring.out.control(), record, payload.sequence, purpose);
    ring.out.pop();
    *task = payload.task;
    if (sequence != nullptr) *sequence = payload.sequence;
    return mine ? Did::kClaimed : Did::kRefused;
  }
  void release() {
    Interleaving::step("worker.release");
    ring.out.release_space();
  }

  Ring& ring;
};

}  // namespace bolide::ipc::testing

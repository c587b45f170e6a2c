// claim: who owns a task record that has not started, when the node wants it back.
//
// The node may take back task records that a worker has not begun (the worker is stuck behind
// a long task, or another one is idle). Both sides write only their own words:
//
//   worker: claimed  <- sequence of the record that it takes     (RingControl::claimed)
//   node:   flags    <- kRevoked in the record's header          (data bytes are the node's)
//   node:   verdict  <- odd while a take-back is undecided, even after
//
//   worker                               node
//   claimed = s        (seq_cst)         verdict = odd
//   flags of record s? (seq_cst)         flags of every candidate |= kRevoked (seq_cst)
//     clear:   it is mine                c = claimed                          (seq_cst)
//     revoked: wait for an even          candidates <= c: flags &= ~kRevoked
//              verdict, look again       verdict = even
//       still: the node's, unless the
//              verdict has changed
//
// By the total order of the seq_cst operations at least one side sees the other's store, so a
// record is never both run and taken back, and never lost. A worker claims every task record
// before it pops it, hence a record that lies before the consumer's head was claimed.
//
// The low bit of `claimed` tells why it was taken: to run it (0), or to hand it back unrun
// because the worker is blocked (1); only the former burns a retry if the worker dies.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "ipc/ring.h"
#include "os/cpu.h"

namespace bolide::ipc {

inline constexpr uint16_t kRevoked = 1;  // RecordHeader::flags

enum class Purpose : uint64_t { kRun = 0, kHandBack = 1 };

// try_claim is the worker's side for the record that peek() gave; false: the node took it back.
inline bool try_claim(RingControl* control, const Record& record, uint64_t sequence,
                      Purpose purpose) {
  control->claimed.store(sequence << 1 | static_cast<uint64_t>(purpose),
                         std::memory_order_seq_cst);
  BOLIDE_FAULT_AT("claim.stored");
  std::atomic_ref<uint16_t> flags(reinterpret_cast<RecordHeader*>(record.header)->flags);
  if ((flags.load(std::memory_order_seq_cst) & kRevoked) == 0) return true;
  for (;;) {
    BOLIDE_FAULT_AT("claim.waiting");
    const uint32_t verdict = control->verdict.load(std::memory_order_seq_cst);
    if ((verdict & 1) == 0) {
      BOLIDE_FAULT_AT("claim.decided");
      const bool revoked = (flags.load(std::memory_order_seq_cst) & kRevoked) != 0;
      // A mark may be that of the next take-back, which sees the claim and will clear it again.
      if (!revoked) return true;
      if (control->verdict.load(std::memory_order_seq_cst) == verdict) return false;
    }
    os::relax();
  }
}

// One task record that the node has sent and whose result it has not seen.
struct Candidate {
  uint64_t sequence;
  uint64_t position;  // as RingProducer::commit returned it
};

// take_back is the node's side: `candidates` in order of sequence. Returns how many of them,
// counted from the end, are the node's again; the others are the worker's.
inline size_t take_back(RingProducer& ring, std::span<const Candidate> candidates) {
  RingControl* control = ring.control();
  const uint32_t verdict = control->verdict.load(std::memory_order_relaxed);  // own word
  control->verdict.store(verdict + 1, std::memory_order_seq_cst);
  BOLIDE_FAULT_AT("takeback.begun");
  ring.refresh_used();
  size_t first = 0;
  while (first < candidates.size() && candidates[first].position < ring.seen_head()) ++first;
  for (size_t i = first; i < candidates.size(); ++i) {
    ring.flags_at(candidates[i].position).fetch_or(kRevoked, std::memory_order_seq_cst);
    BOLIDE_FAULT_AT("takeback.marked");
  }
  const uint64_t claimed = control->claimed.load(std::memory_order_seq_cst) >> 1;
  BOLIDE_FAULT_AT("takeback.read");
  size_t kept = first;
  while (kept < candidates.size() && candidates[kept].sequence <= claimed) {
    ring.flags_at(candidates[kept].position).store(0, std::memory_order_seq_cst);
    BOLIDE_FAULT_AT("takeback.kept");
    ++kept;
  }
  control->verdict.store(verdict + 2, std::memory_order_release);  // partner: try_claim
  return candidates.size() - kept;
}

}  // namespace bolide::ipc

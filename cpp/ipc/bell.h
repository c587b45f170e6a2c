// bell: how clients wake the node, and know when they need not.
//
// The node writes one word in a page that every client maps read-only: how it sleeps, and an
// epoch. A client that has published a record reads the word and, if the node asks for it,
// writes the named eventfd, at most once an epoch. The eventfd is the kernel's, so no shared
// byte has two writers.
//
// Why no wake-up is lost: the node stores the word (seq_cst), then looks at all rings, then
// sleeps; a client stores the ring's tail (seq_cst), then reads the word. One sees the other.
//
// Thread safety: BellPage::word is written under the node's lock; BellReader belongs to the
// holder of the client's ring lock.
#pragma once

#include <atomic>
#include <cstdint>

namespace bolide::ipc {

inline constexpr uint32_t kBellMagic = 0x626c626c;

// How urgently the node wants to be woken; larger asks for more.
enum class Urgency : uint64_t {
  kAwake = 0,         // somebody pumps: do not ring
  kWhenSleeping = 1,  // ring before you sleep, if records lie unread
  kWhenEmpty = 2,     // ring when you have run out of tasks: more are waiting
  kAlways = 3,        // somebody waits for a result
};

// Which of the two eventfds to write.
enum class Bell : uint64_t { kWaiter = 0, kSupervisor = 1 };

struct BellPage {
  uint32_t magic;
  uint32_t version;
  int32_t node_pid;    // of the process whose descriptor the next one is
  int32_t inquiry_fd;  // writing end of the pipe of inquiries (inquiry.h)
  uint8_t reserved[48];
  alignas(64) std::atomic<uint64_t> word;  // [epoch:60][bell:1][urgency:3]
};
static_assert(sizeof(BellPage) == 128);

// BellWriter is the node's end.
class BellWriter {
 public:
  explicit BellWriter(BellPage* page = nullptr) : page_(page) {}

  void set(Urgency urgency, Bell bell) {
    ++epoch_;
    page_->word.store(epoch_ << 4 | static_cast<uint64_t>(bell) << 3 |
                          static_cast<uint64_t>(urgency),
                      std::memory_order_seq_cst);  // partner: BellReader::ask
  }

 private:
  BellPage* page_;
  uint64_t epoch_ = 0;
};

// BellReader is a client's end.
class BellReader {
 public:
  explicit BellReader(const BellPage* page = nullptr) : page_(page) {}

  struct Answer {
    bool ring;
    Bell bell;
  };

  // ask tells whether to ring now. `moment` is the least urgency that is served at this point:
  // kAlways after any record, kWhenEmpty when tasks ran out, kWhenSleeping before sleeping.
  Answer ask(Urgency moment) {
    const uint64_t word = page_->word.load(std::memory_order_seq_cst);  // partner: set
    const auto urgency = static_cast<Urgency>(word & 7);
    const uint64_t epoch = word >> 4;
    if (urgency < moment || epoch == rung_) return {false, Bell::kWaiter};
    rung_ = epoch;
    return {true, static_cast<Bell>(word >> 3 & 1)};
  }

 private:
  const BellPage* page_;
  uint64_t rung_ = 0;
};

}  // namespace bolide::ipc

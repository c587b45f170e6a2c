// claim_stepped: ipc/claim.h with its fault points made into places where a test may switch from
// the worker's thread to the node's and back, so that interleavings are chosen and not hoped for.
// All tests of claim.h in this program include it in this form.
//
// Interleaving runs two bodies, each in a thread of its own but only one at a time. explore()
// does so for every order with at most `preemptions` switches away from a side that could go on.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/fault.h"
#include "ipc/ring.h"
#include "os/cpu.h"

namespace bolide::ipc::testing {

class Interleaving {
 public:
  using Body = std::function<void()>;
  using MayGoOn = std::function<bool()>;

  // `waits` tells whether a worker that stands at "claim.waiting" could go on now.
  explicit Interleaving(MayGoOn may_go_on) : may_go_on_(std::move(may_go_on)) {}

  // run lets the sides go as `choices` say (0: on, 1: switch), then without switching. Returns
  // the choices that there were. Sets stuck() when one side waits for ever.
  std::vector<char> run(const std::vector<char>& choices, size_t preemptions, const Body& worker,
                        const Body& node) {
    choices_ = choices;
    made_.clear();
    log.clear();
    left_ = preemptions;
    finished_[0] = finished_[1] = waiting_[0] = waiting_[1] = stuck_ = false;
    turn_.store(1);
    std::thread thread([&] { side(0, worker); });
    side(1, node);
    thread.join();
    return made_;
  }

  bool stuck() const { return stuck_; }
  std::string log;  // of the last run: the points as they were passed

  // step is where BOLIDE_FAULT_AT leads.
  static void step(const char* point) {
    if (here_.all == nullptr) return;
    here_.all->at(here_.side, point);
  }

 private:
  struct Here {
    Interleaving* all;
    int side;
  };

  void side(int me, const Body& body) {
    await(me);
    here_ = {this, me};
    body();
    here_ = {nullptr, me};
    finished_[me] = true;
    if (!finished_[1 - me]) pass_to(1 - me);
  }

  void at(int me, const char* point) {
    log += (me == 0 ? " w:" : " n:") + std::string(point);
    waiting_[me] = std::string_view(point) == "claim.waiting";
    const int other = 1 - me;
    const bool can_go = !waiting_[me] || may_go_on_();
    const bool other_can = !finished_[other] && (!waiting_[other] || may_go_on_());
    if (!can_go && !other_can) {
      stuck_ = true;
      log += " STUCK";
      waiting_[me] = false;
      return;
    }
    bool change = !can_go;
    if (can_go && other_can && left_ > 0) {
      const size_t i = made_.size();
      made_.push_back(i < choices_.size() ? choices_[i] : char{0});
      change = made_.back() != 0;
      if (change) --left_;
    }
    if (change) {
      pass_to(other);
      await(me);
    }
    waiting_[me] = false;
  }

  void pass_to(int side) {
    turn_.store(side, std::memory_order_release);
    turn_.notify_all();
  }
  void await(int me) {
    for (int i = 0; i < 1000; ++i) {
      if (turn_.load(std::memory_order_acquire) == me) return;
      os::relax();
    }
    while (turn_.load(std::memory_order_acquire) != me) {
      turn_.wait(1 - me, std::memory_order_acquire);
    }
  }

  MayGoOn may_go_on_;
  std::vector<char> choices_;
  std::vector<char> made_;
  size_t left_ = 0;
  bool finished_[2] = {false, false};
  bool waiting_[2] = {false, false};
  bool stuck_ = false;
  std::atomic<int> turn_{1};
  static thread_local inline Here here_ = {nullptr, 0};
};

// next_choices is the next leaf of the tree of choices, depth first; false: that was the last.
inline bool next_choices(std::vector<char>& choices) {
  while (!choices.empty() && choices.back() == 1) choices.pop_back();
  if (choices.empty()) return false;
  choices.back() = 1;
  return true;
}

}  // namespace bolide::ipc::testing

#undef BOLIDE_FAULT_AT
#define BOLIDE_FAULT_AT(point) ::bolide::ipc::testing::Interleaving::step(point)
#include "ipc/claim.h"

// Actors under random events: callers, dependencies, retries, deaths and restarts. A model of the
// worker runs what it is sent in the order of its ring; the journal of what it began is the judge.
#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <vector>

#include "sched/actors.h"
#include "support/seeds.h"

using namespace bolide;
using namespace bolide::sched;
using support::below;
using support::one_in;

namespace {

struct Call : Task {
  uint32_t caller = 0;
  uint32_t group = 0;
  uint32_t number = 0;  // of this caller, in the order of submission
  int32_t max_retries = 0;
  uint32_t attempts = 0;  // begun
  uint32_t retries = 0;
  bool ended = false;
  bool failed = false;
};

class Walk : Actors::Actions {
 public:
  explicit Walk(std::mt19937_64& random) : random_(random), actors_(*this) {
    actor_.in_order = one_in(random, 2);
    actor_.max_restarts = one_in(random, 4) ? static_cast<int32_t>(below(random, 4)) : -1;
    if (one_in(random, 2)) {
      const auto most = actor_.in_order ? 1 : 1 + below(random, 5);
      actor_.groups[0].limit = static_cast<uint32_t>(most);
      if (one_in(random, 2)) actor_.groups.push_back({1, 0});
    }
  }

  void step() {
    switch (below(random_, 12)) {
      case 0:
      case 1:
      case 2:
        submit();
        break;
      case 3:
        make_ready();
        break;
      case 4:
      case 5:
        begin();
        break;
      case 6:
      case 7:
      case 8:
        answer(false);
        break;
      case 9:
        answer(true);
        break;
      case 10:
        advance();
        break;
      default:
        if (one_in(random_, 10)) die();
        break;
    }
    REQUIRE(Actors::audit(actor_));
  }

  void finish() {
    while (!unready_.empty()) make_ready();
    while (actor_.state != ActorState::kDead &&
           (actor_.state != ActorState::kAlive || actor_.held + actor_.out > 0)) {
      if (actor_.state == ActorState::kAlive) {
        REQUIRE(!ring_.empty());  // or nothing would ever happen again
        begin();
        answer(false);
      } else {
        advance();
      }
      REQUIRE(Actors::audit(actor_));
    }
    for (const Call& call : calls_) {
      REQUIRE(call.ended);
      if (call.failed) continue;
      REQUIRE(call.attempts >= 1);
      if (call.max_retries == 0) REQUIRE(call.attempts == 1);
      if (call.max_retries > 0) {
        REQUIRE(call.attempts <= 1 + static_cast<uint32_t>(call.max_retries));
      }
    }
  }

 private:
  using Lane = std::pair<uint32_t, uint32_t>;  // caller and group

  void send_call(Actor&, Task& task) override {
    REQUIRE(actor_.state == ActorState::kAlive);
    REQUIRE(task.worker == &worker_);
    ring_.push_back(static_cast<Call*>(&task));
  }

  void submit() {
    if (actor_.state == ActorState::kDead) return;
    Call& call = calls_.emplace_back();
    call.caller = static_cast<uint32_t>(1 + below(random_, 4));
    call.group = static_cast<uint32_t>(below(random_, actor_.groups.size()));
    call.number = ++numbers_[{call.caller, call.group}];
    call.max_retries = one_in(random_, 2) ? 0 : static_cast<int32_t>(below(random_, 4)) - 1;
    call.holds_back = call.max_retries != 0 && one_in(random_, 2);
    const bool is_ready = !one_in(random_, 4);
    if (!is_ready) unready_.push_back(&call);
    actors_.submit(actor_, &call, call.caller, call.group, is_ready);
  }

  void make_ready() {
    if (unready_.empty()) return;
    const size_t i = below(random_, unready_.size());
    Call* call = unready_[i];
    unready_.erase(unready_.begin() + static_cast<std::ptrdiff_t>(i));
    if (call->ended) return;  // its actor died meanwhile
    if (one_in(random_, 5)) {
      actors_.forget(call);
      call->ended = call->failed = true;
    } else {
      actors_.ready(call);
    }
  }

  // begin: the worker claims the next record.
  void begin() {
    if (begun_ == ring_.size()) return;
    if (begun_ > 0 && actor_.serial()) return;
    Call& call = *ring_[begun_++];
    ++call.attempts;
    if (actor_.in_order) {
      // Everything before it has ended.
      const Lane lane{call.caller, call.group};
      for (const Call& other : calls_) {
        const bool before = Lane{other.caller, other.group} == lane && other.number < call.number;
        REQUIRE((!before || other.ended));
      }
    }
  }

  void answer(bool again) {
    if (begun_ == 0) return;
    const size_t i = below(random_, begun_);
    Call& call = *ring_[i];
    ring_.erase(ring_.begin() + static_cast<std::ptrdiff_t>(i));
    --begun_;
    again = again && call.holds_back && may_retry(call);
    if (again) {
      ++call.retries;
    } else {
      call.ended = true;
    }
    actors_.completed(&call, static_cast<Nanos>(1 + below(random_, 300'000)), again);
  }

  static bool may_retry(const Call& call) {
    return call.max_retries < 0 || call.retries < static_cast<uint32_t>(call.max_retries);
  }

  void advance() {
    if (actor_.state == ActorState::kPending || actor_.state == ActorState::kRestarting) {
      actors_.starting(actor_, worker_);
    } else if (actor_.state == ActorState::kStarting) {
      actors_.alive(actor_);
    }
  }

  void die() {
    if (actor_.state != ActorState::kAlive && actor_.state != ActorState::kStarting) return;
    const bool restarts = actor_.may_restart();
    std::vector<Call*> failed;
    for (size_t i = ring_.size(); i-- > 0;) {
      Call& call = *ring_[i];
      if (i >= begun_) {
        restarts ? actors_.back(&call) : actors_.ended(&call);
        if (!restarts) failed.push_back(&call);
      } else if (restarts && may_retry(call)) {
        ++call.retries;
        actors_.back(&call);
      } else {
        actors_.ended(&call);
        failed.push_back(&call);
      }
    }
    ring_.clear();
    begun_ = 0;
    if (restarts) {
      actors_.restarting(actor_);
      ++actor_.restarts;
    } else {
      actor_.state = ActorState::kDead;
      for (Task* task : actors_.take_held(actor_)) failed.push_back(static_cast<Call*>(task));
    }
    for (Call* call : failed) call->ended = call->failed = true;
  }

  std::mt19937_64& random_;
  Actors actors_;
  Actor actor_;
  Worker worker_;
  std::deque<Call> calls_;
  std::vector<Call*> unready_;
  std::map<Lane, uint32_t> numbers_;
  std::deque<Call*> ring_;
  size_t begun_ = 0;
};

}  // namespace

TEST_CASE("actors: random events keep the order, and every call ends as often as it may") {
  support::for_seeds(400, [](std::mt19937_64& random) {
    Walk walk(random);
    for (int i = 0; i < 600; ++i) walk.step();
    walk.finish();
  });
}

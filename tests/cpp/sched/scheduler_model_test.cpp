// The scheduler under random events: every class of need, workers that run, block, inline, hand
// back and die; placement groups that come and go. The audit holds after each event, and in the end
// everything has been run.
#include <set>

#include "sched_testing.h"

using namespace bolide;
using namespace bolide::sched;
using namespace bolide::sched::testing;
using support::below;
using support::one_in;

namespace {

class Walk {
 public:
  explicit Walk(std::mt19937_64& random)
      : random_(random), owner_(static_cast<Amount>(1 + below(random, 4)) * kUnit, policy(random)) {
    owner_.set_total("GPU", 2);
    classes_ = {owner_.scheduler.default_class(),
                owner_.define(1, {{"CPU", 0.5}}),
                owner_.define(2, {}),
                owner_.define(3, {{"CPU", 0.25}, {"GPU", 1}}),
                owner_.define(4, {{"GPU", 2}}),
                owner_.define(5, {{"CPU", 9}}),
                owner_.define_dedicated(7, {{"CPU", 1}}, {}),
                owner_.define_dedicated(8, {{"CPU", 0.5}, {"GPU", 1}}, {{"CPU", 0.5}, {"GPU", 1}}),
                owner_.define(9, {{"CPU", 1}}),
                owner_.define_dedicated(10, {{"CPU", 1}}, {})};
    Scheduler::belongs(*classes_[8], away_);
    Scheduler::belongs(*classes_[9], away_);
    if (owner_.scheduler.ledger().total(kCpu) >= 2 * kUnit) {
      classes_.push_back(owner_.define(6, {{"CPU", 2}}));
    }
    typical_ = Nanos{1} << below(random, 26);
  }

  void step() {
    owner_.time += static_cast<Nanos>(below(random_, 200 * kUs));
    switch (below(random_, 14)) {
      case 0:
      case 1:
      case 2:
        submit(one_in(random_, 40) ? classes_[5] : any_class());
        break;
      case 3:
      case 4:
      case 5:
        run();
        break;
      case 6:
        block();
        break;
      case 7:
        unblock();
        break;
      case 8:
        if (one_in(random_, 4)) die();
        break;
      case 9:
        hand_back();
        break;
      case 10:
        start();
        break;
      case 11:
        settle();
        if (one_in(random_, 20)) open_away();
        break;
      case 12:
        if (one_in(random_, 8)) {
          group_ == nullptr ? add_group() : remove_group();
        } else if (group_ != nullptr) {
          owner_.submit(grouped_[below(random_, grouped_.size())]);
        }
        break;
      default:
        owner_.scheduler.someone_waits(one_in(random_, 2));
        owner_.dispatch(static_cast<Nanos>(below(random_, 2 * kMs)));
        break;
    }
  }

  // finish lets everything run to its end; what cannot is a task of the infeasible class.
  void finish() {
    open_away();
    for (int turn = 0; left() > 0; ++turn) {
      REQUIRE(turn < 100'000);
      owner_.dispatch();
      bool moved = start();
      for (auto& worker : owner_.workers) {
        if (worker->constructor != nullptr) {
          owner_.settle(*worker);
          moved = true;
        }
        // What actors keep would never let others run, so they come to an end too.
        if (worker->state == WorkerState::kDedicated) {
          owner_.die(*worker);
          moved = true;
        }
        while (worker->blocked > worker->inlined) {
          owner_.unblock(*worker);
          moved = true;
        }
        while (!worker->ring.empty()) {
          if (worker->blocked > 0 && !worker->ring.back().inlined) owner_.unblock(*worker);
          owner_.finish(*worker, length());
          moved = true;
        }
      }
      if (!moved && group_ != nullptr) {  // others may wait for what it holds
        remove_group();
        continue;
      }
      if (!moved) REQUIRE(owner_.look());  // or nobody would ever wake it
    }
    for (auto& worker : owner_.workers) {
      if (worker->state == WorkerState::kGone) continue;
      while (worker->blocked > 0) owner_.unblock(*worker);
      REQUIRE(worker->state == WorkerState::kIdle);
    }
    if (group_ != nullptr) remove_group();
    REQUIRE(owner_.scheduler.ledger().balanced());
    REQUIRE(owner_.scheduler.ready() == 0);
    REQUIRE(owner_.scheduler.behind() == 0);
    REQUIRE(owner_.scheduler.waiting_workers() == 0);
    REQUIRE(owner_.scheduler.dedicated() == 0);
    const bool lives = owner_.scheduler.home().alive > 0;
    while (owner_.look()) {  // until it sleeps for good
      REQUIRE((owner_.scheduler.home().alive > 0) == lives);
    }
    REQUIRE(owner_.scheduler.home().alive == owner_.scheduler.alive());
    size_t queued = 0;
    owner_.scheduler.for_each_queued([&](Task*) { ++queued; });
    REQUIRE(queued == impossible_);
    REQUIRE(owner_.warned.size() == (impossible_ > 0 ? 1 : 0));
  }

 private:
  static Policy policy(std::mt19937_64& random) {
    Policy policy;
    policy.cores = 1 + static_cast<int>(below(random, 3));
    policy.max_blocked = static_cast<uint32_t>(1 + below(random, 6));
    policy.max_zero_cpu = static_cast<uint32_t>(1 + below(random, 8));
    return policy;
  }

  SchedulingClass* any_class() {
    const size_t i = below(random_, classes_.size());
    return classes_[one_in(random_, 2) || i == 5 ? 0 : i];
  }
  void submit(SchedulingClass* cls) {
    impossible_ += cls == classes_[5];
    owner_.submit(cls);
  }
  Nanos length() {
    return one_in(random_, 30) ? 20 * kMs : static_cast<Nanos>(below(random_, 2 * static_cast<uint64_t>(typical_)));
  }
  void add_group() {
    const auto half = kUnit / 2;
    group_ = owner_.scheduler.add_group(
        {{{kCpu, half}}, {{kCpu, half}, {kGpu, one_in(random_, 2) ? kUnit : half}}}, true);
    REQUIRE(group_->state == GroupState::kWaiting);
    const auto key = [this] { return next_key_++; };
    grouped_ = {owner_.define(key(), {{"CPU", 0.5}}), owner_.define(key(), {{"CPU", 0.25}}),
                owner_.define(key(), {{"GPU", 0.5}}),
                owner_.define_dedicated(key(), {{"CPU", 0.5}}, {})};
    for (size_t i = 0; i < grouped_.size(); ++i) {
      owner_.scheduler.join(grouped_[i], group_, i == 1 ? 0 : kAnyBundle);
    }
    owner_.check();
    owner_.dispatch();
  }
  // remove_group does as the node: it forgets the tasks that wait, and kills the workers.
  void remove_group() {
    std::vector<Task*> gone;
    owner_.scheduler.for_each_queued([&](Task* task) {
      if (task->cls->group == group_) gone.push_back(task);
    });
    for (Task* task : gone) owner_.scheduler.forget(task);
    const bool late = one_in(random_, 2);
    std::vector<Worker*> doomed;
    for (auto& worker : owner_.workers) {
      if (worker->cls == nullptr || worker->cls->group != group_) continue;
      while (worker->ring.size() > 1 && !worker->ring.back().inlined) {
        owner_.scheduler.forget(owner_.hand_back(*worker));
      }
      doomed.push_back(worker.get());
    }
    owner_.scheduler.remove_group(std::exchange(group_, nullptr));
    owner_.check();
    for (Worker* worker : doomed) {
      // The result of one may come before it is gone.
      if (late && worker->blocked == 0 && owner_.in_ring(*worker) == 1) owner_.finish(*worker);
      owner_.die(*worker);
    }
    owner_.dispatch();
  }
  size_t left() const {
    size_t assigned = 0;
    for (const auto& worker : owner_.workers) {
      assigned += worker->ring.size() + (worker->constructor != nullptr ? 1 : 0);
    }
    return owner_.scheduler.ready() + assigned;
  }
  Owner::Process* pick(bool (*fits)(const Owner::Process&)) {
    std::vector<Owner::Process*> found;
    for (auto& worker : owner_.workers) {
      if (worker->state == WorkerState::kLeased && fits(*worker)) found.push_back(worker.get());
    }
    return found.empty() ? nullptr : found[below(random_, found.size())];
  }

  void open_away() {
    owner_.scheduler.open(away_);
    owner_.check();
    owner_.dispatch();
  }
  bool start() {
    if (owner_.starts == 0) return false;
    if (one_in(random_, 10)) {
      --owner_.starts;
      owner_.scheduler.worker_start_failed(*owner_.asked.front());
      owner_.asked.pop_front();
      owner_.check();
    } else {
      owner_.start();
    }
    return true;
  }
  void run() {
    if (auto* worker = pick([](const Owner::Process& w) { return !w.waiting() && !w.ring.empty(); })) {
      if (worker->blocked > 0 && !worker->ring.back().inlined) return;
      owner_.finish(*worker, length());
    }
  }
  void settle() {
    for (auto& worker : owner_.workers) {
      if (worker->constructor != nullptr && one_in(random_, 2)) owner_.settle(*worker);
    }
  }
  void block() {
    auto* worker = pick([](const Owner::Process& w) { return !w.waiting() && w.blocked < 3; });
    if (worker == nullptr) return;
    std::vector<Task*> awaits;
    owner_.scheduler.for_each_queued([&](Task* task) {
      if (one_in(random_, 3)) awaits.push_back(task);
    });
    owner_.block(*worker, one_in(random_, 2), awaits);
    while (worker->ring.size() > 1 && !worker->ring.back().inlined) owner_.hand_back(*worker);
  }
  void unblock() {
    if (auto* worker = pick([](const Owner::Process& w) { return w.waiting(); })) {
      owner_.unblock(*worker);
    }
  }
  void hand_back() {
    auto* worker = pick([](const Owner::Process& w) { return w.ring.size() > 1; });
    if (worker != nullptr && one_in(random_, 3)) owner_.hand_back(*worker);
  }
  void die() {
    if (owner_.workers.empty()) return;
    auto& worker = *owner_.workers[below(random_, owner_.workers.size())];
    for (Task* task : owner_.die(worker)) {
      owner_.scheduler.resubmit(task);
      owner_.check();
    }
    owner_.dispatch();
  }

  std::mt19937_64& random_;
  Owner owner_;
  Environment& away_ = owner_.scheduler.define_environment(1);
  std::vector<SchedulingClass*> classes_;
  Group* group_ = nullptr;
  std::vector<SchedulingClass*> grouped_;
  uint64_t next_key_ = 100;
  Nanos typical_ = 0;
  size_t impossible_ = 0;
};

}  // namespace

TEST_CASE("scheduler: random events leave the books right and every task runs in the end") {
  support::for_seeds(150, [](std::mt19937_64& random) {
    Walk walk(random);
    for (int i = 0; i < 400; ++i) walk.step();
    walk.finish();
  });
}

// Claiming and taking back between two threads: the worker claims, runs or hands back; the node
// sends, takes back, runs some itself and sends the others again. Every task is run exactly once.
// Under ThreadSanitizer a task that both sides run is also a reported race.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "ipc/claim_testing.h"
#include "support/seeds.h"

using namespace bolide::ipc;
using namespace bolide::ipc::testing;
using support::below;
using support::one_in;

namespace {

constexpr uint64_t kStop = UINT64_MAX;

struct Reply {
  uint64_t sequence;
  uint64_t ran;
};

class Stress {
 public:
  Stress(uint64_t seed, uint64_t tasks) : seed_(seed), runs_(tasks, 0) {}

  // run plays both sides to the end; how many tasks were taken back.
  uint64_t run() {
    std::thread worker([&] { work(); });
    drive();
    worker.join();
    return taken_;
  }
  bool each_ran_once() const {
    return std::all_of(runs_.begin(), runs_.end(), [](int runs) { return runs == 1; });
  }

 private:
  void work() {
    std::mt19937_64 random(seed_ ^ 0x77);
    WorkerSide side(tasks_);
    for (;;) {
      uint64_t task = 0;
      uint64_t sequence = 0;
      const Purpose purpose = one_in(random, 10) ? Purpose::kHandBack : Purpose::kRun;
      const auto did = side.turn(purpose, &task, &sequence);
      if (did == WorkerSide::Did::kNothing) {
        tasks_.out.release_space();
        std::this_thread::yield();
        continue;
      }
      if (one_in(random, 4)) tasks_.out.release_space();
      if (did == WorkerSide::Did::kRefused) continue;
      if (task == kStop && purpose == Purpose::kRun) return;
      if (purpose == Purpose::kRun) ++runs_[task];
      if (one_in(random, 50)) std::this_thread::yield();
      reply({sequence, purpose == Purpose::kRun});
    }
  }

  void reply(Reply reply) {
    std::byte* to = nullptr;
    while ((to = replies_.in.reserve(sizeof reply, 2)) == nullptr) std::this_thread::yield();
    std::memcpy(to, &reply, sizeof reply);
    replies_.in.commit();
    replies_.in.publish();
  }

  void drive() {
    std::mt19937_64 random(seed_);
    NodeSide side(tasks_);
    std::deque<uint64_t> pending;
    for (uint64_t task = 0; task < runs_.size(); ++task) pending.push_back(task);
    uint64_t left = runs_.size();
    bool stopping = false;
    for (;;) {
      const uint64_t depth = 1 + below(random, 8);
      while (!pending.empty() && side.tasks.size() < depth && side.send(pending.front())) {
        pending.pop_front();
      }
      side.publish();
      for (uint64_t again = below(random, 3); again > 0; --again) {
        const auto back = side.take();
        taken_ += back.size();
        for (size_t i = back.size(); i-- > 0;) {
          if (back[i] != kStop && one_in(random, 4)) {
            ++runs_[back[i]];  // by another worker
            --left;
          } else {
            pending.push_front(back[i]);
          }
        }
      }
      Record record;
      while (replies_.out.peek(record) == RingConsumer::Peek::kRecord) {
        Reply reply;
        std::memcpy(&reply, record.payload, sizeof reply);
        replies_.out.pop();
        const auto at = std::find_if(side.outstanding.begin(), side.outstanding.end(),
                                     [&](const Candidate& c) {
                                       return c.sequence == reply.sequence;
                                     });
        BOLIDE_CHECK(at != side.outstanding.end(), "an answer to a task that was taken back");
        const auto i = at - side.outstanding.begin();
        if (reply.ran != 0) {
          --left;
        } else {
          pending.push_front(side.tasks[static_cast<size_t>(i)]);
        }
        side.outstanding.erase(at);
        side.tasks.erase(side.tasks.begin() + i);
      }
      replies_.out.release_space();
      if (left == 0 && !stopping) {
        stopping = true;
        pending.push_back(kStop);
      } else if (stopping && pending.empty()) {
        // Sent; the worker may still hand it back, unless it claims it to run.
        const uint64_t claimed = tasks_.memory.control()->claimed.load();
        if (!side.outstanding.empty() && claimed == side.outstanding.front().sequence << 1) return;
      }
      if (one_in(random, 3)) std::this_thread::yield();
    }
  }

  const uint64_t seed_;
  std::vector<int> runs_;  // of a task by whoever owns it: never by two threads at once
  uint64_t taken_ = 0;
  Ring tasks_{1024};
  Ring replies_{512};
};

}  // namespace

TEST_CASE("claim: two threads, each task is run exactly once whoever takes it back") {
  uint64_t taken = 0;
  support::for_seeds(8, [&](std::mt19937_64& random) {
    Stress stress(random(), 10'000);
    taken += stress.run();
    CHECK(stress.each_ran_once());
  });
  if (std::getenv("BOLIDE_TEST_SEED") == nullptr) CHECK(taken > 0);
}

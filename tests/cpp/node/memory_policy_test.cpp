#include "node/memory_policy.h"

#include <doctest/doctest.h>

#include <vector>

using namespace bolide;
using namespace bolide::node;

namespace {

constexpr uint64_t kMB = 1 << 20;

Suspect holding(uint32_t worker, uint64_t held, bool retriable = true) {
  Suspect suspect;
  suspect.worker = worker;
  suspect.begun = worker;  // in the order of their numbers
  suspect.held = held;
  suspect.retriable = retriable;
  suspect.runs = true;
  return suspect;
}

Suspect limited(uint32_t worker, uint64_t held, uint64_t before, uint64_t limit) {
  Suspect suspect = holding(worker, held);
  suspect.before = before;
  suspect.limit = limit;
  return suspect;
}

uint32_t number_of(const Suspect* suspect) { return suspect == nullptr ? 0 : suspect->worker; }

}  // namespace

TEST_CASE("the newest of those that may run again is the culprit") {
  std::vector<Suspect> all = {holding(1, 200 * kMB), holding(3, 100 * kMB), holding(2, 900 * kMB),
                              holding(4, 500 * kMB, false)};
  CHECK(number_of(culprit(all)) == 3);
  all[1].retriable = false;
  CHECK(number_of(culprit(all)) == 2);
  all[2].retriable = false;
  CHECK(number_of(culprit(all)) == 1);
  all[0].retriable = false;
  CHECK(number_of(culprit(all)) == 4);
}

TEST_CASE("whose end would change nothing is no culprit") {
  CHECK(culprit({}) == nullptr);
  const std::vector<Suspect> small = {holding(1, 60 * kMB), holding(2, kMB)};
  CHECK(culprit(small) == nullptr);
  const std::vector<Suspect> one_large = {holding(1, 1000 * kMB, false), holding(2, 99 * kMB)};
  CHECK(number_of(culprit(one_large)) == 1);
  const std::vector<Suspect> fair = {holding(1, 1000 * kMB, false), holding(2, 101 * kMB)};
  CHECK(number_of(culprit(fair)) == 2);
}

TEST_CASE("alone is who has no other of a fair part beside it") {
  std::vector<Suspect> all = {holding(1, 1000 * kMB), holding(2, 99 * kMB)};
  CHECK(is_alone(all, all[0]));
  all[1].held = 100 * kMB;
  CHECK_FALSE(is_alone(all, all[0]));
  all[1].runs = false;  // it waits for another task
  CHECK(is_alone(all, all[0]));
}

TEST_CASE("a limit counts what was taken since it began to count") {
  std::vector<Suspect> all = {limited(1, 300 * kMB, 210 * kMB, 100 * kMB),
                              limited(2, 100 * kMB, 100 * kMB, kMB), holding(3, 5000 * kMB)};
  CHECK(over_its_limit(all) == nullptr);
  all[0].held = 310 * kMB;
  CHECK(over_its_limit(all) == nullptr);
  all[0].held += 1;
  CHECK(number_of(over_its_limit(all)) == 1);
  all[1].held = 102 * kMB;
  CHECK(number_of(over_its_limit(all)) == 2);
  all[1].before = 103 * kMB;  // it has given some back
  CHECK(all[1].charged() == 0);
}

TEST_CASE("the nearer a limit, the sooner the next look") {
  const Nanos longest = 250 * kMillisecond;
  CHECK(pause_to_limits({}, longest) == longest);
  const std::vector<Suspect> none = {holding(1, kMB)};
  CHECK(pause_to_limits(none, longest) == longest);
  std::vector<Suspect> all = {limited(1, 0, 0, 10'000 * kMB), limited(2, 0, 0, 400'000'000)};
  CHECK(pause_to_limits(all, longest) == 100 * kMillisecond);
  all[1].held = 399'000'000;
  CHECK(pause_to_limits(all, longest) == 10 * kMillisecond);
  all[1].held = 999'000'000;
  CHECK(pause_to_limits(all, longest) == 10 * kMillisecond);
  CHECK(pause_to_limits(all, kMillisecond) == kMillisecond);
}

TEST_CASE("the machine's use and the time to its threshold") {
  const Nanos longest = 250 * kMillisecond;
  const os::MachineMemory machine{4'000'000'000, 1'000'000'000};
  CHECK(used_share(machine) == doctest::Approx(0.75));
  CHECK(used_share({}) == 0);
  CHECK(used_share({10, 20}) == 0);
  CHECK(pause_to_threshold(machine, 0.80, longest) == doctest::Approx(50e6).epsilon(0.03));
  CHECK(pause_to_threshold(machine, 0.95, longest) == doctest::Approx(200e6).epsilon(0.03));
  CHECK(pause_to_threshold(machine, 0.5, longest) == 10 * kMillisecond);
}

TEST_CASE("the sentence names what was held and what was allowed") {
  MemoryDeath death;
  death.suspect = limited(1, 300 * kMB, 20 * kMB, 200 * kMB);
  CHECK(explain(death, "The task 'f'", 71) ==
        "The task 'f' ran out of memory: it held 280.0 MiB, more than its limit of 200.0 MiB "
        "(memory=209715200), and its worker process (pid 71, 300.0 MiB RSS without shared memory) "
        "was killed");
  death.machine = {1000 * kMB, 15 * kMB};
  death.threshold = 0.95;
  death.suspect.retriable = false;
  CHECK(explain(death, "The task 'f'", 71) ==
        "The task 'f' ran out of memory: 985.0 MiB of the machine's 1000.0 MiB were in use "
        "(98.5 %), above the threshold of 95.0 %, and its worker process (pid 71, 300.0 MiB RSS "
        "without shared memory) was killed as the newest");
}

// Ledger: names, totals, what fits now and what ever could, and the sentences about it.
#include "sched/resources.h"

#include <doctest/doctest.h>

using namespace bolide::sched;

namespace {
constexpr Amount amount(double quantity) { return static_cast<Amount>(quantity * kUnit); }
}  // namespace

TEST_CASE("ledger: CPU is there from the start, other names get the next numbers once") {
  Ledger ledger;
  CHECK(ledger.intern("CPU") == kCpu);
  const uint32_t gpu = ledger.intern("GPU");
  CHECK(gpu == 1);
  CHECK(ledger.intern("disk") == 3);
  CHECK(ledger.intern("GPU") == gpu);
  CHECK(ledger.name(gpu) == "GPU");
  CHECK(ledger.kinds() == 4);
  CHECK(ledger.total(gpu) == 0);
  CHECK(ledger.free(gpu) == 0);
}

TEST_CASE("ledger: taking and giving, in fractions") {
  Ledger ledger;
  ledger.set_total(kCpu, amount(2));
  const uint32_t gpu = ledger.intern("GPU");
  ledger.set_total(gpu, amount(1));
  const Need need = {{kCpu, amount(0.5)}, {gpu, amount(0.25)}};
  for (int i = 0; i < 4; ++i) {
    CHECK(ledger.fits(need));
    ledger.take(need);
  }
  CHECK(ledger.free(kCpu) == 0);
  CHECK(ledger.free(gpu) == 0);
  CHECK_FALSE(ledger.fits(need));
  CHECK(ledger.fits({}));
  CHECK_FALSE(ledger.balanced());
  for (int i = 0; i < 4; ++i) ledger.give(need);
  CHECK(ledger.balanced());
}

TEST_CASE("ledger: each resource counts, and what is held does not change what could ever fit") {
  Ledger ledger;
  ledger.set_total(kCpu, amount(2));
  const uint32_t gpu = ledger.intern("GPU");
  const Need wide = {{kCpu, amount(2)}};
  const Need graphic = {{kCpu, amount(1)}, {gpu, amount(1)}};
  CHECK(ledger.feasible(wide));
  CHECK_FALSE(ledger.feasible(graphic));
  ledger.take({{kCpu, amount(1)}});
  CHECK(ledger.feasible(wide));
  CHECK_FALSE(ledger.fits(wide));
  CHECK_FALSE(ledger.feasible({{kCpu, amount(2) + 1}}));
}

TEST_CASE("ledger: a lent CPU may be taken back below zero, and a total may change meanwhile") {
  Ledger ledger;
  ledger.set_total(kCpu, amount(1));
  ledger.take_cpu(amount(1));
  ledger.take_cpu(amount(1));
  CHECK(ledger.free(kCpu) == -amount(1));
  ledger.set_total(kCpu, amount(4));
  CHECK(ledger.free(kCpu) == amount(2));
  ledger.give_cpu(amount(1));
  ledger.give_cpu(amount(1));
  CHECK(ledger.balanced());
}

TEST_CASE("ledger: it says what a task needs, and what the node lacks") {
  Ledger ledger;
  ledger.set_total(kCpu, amount(2));
  const uint32_t gpu = ledger.intern("GPU");
  ledger.set_total(gpu, amount(1));
  const uint32_t disk = ledger.intern("disk");
  CHECK(ledger.describe({}) == "nothing");
  CHECK(ledger.describe({{kCpu, amount(1)}}) == "1 CPU");
  CHECK(ledger.describe({{kCpu, amount(0.5)}, {gpu, amount(10)}}) == "0.5 CPU, 10 GPU");
  CHECK(ledger.describe({{kCpu, 1}}) == "0.0001 CPU");
  CHECK(ledger.missing({{kCpu, amount(2)}}).empty());
  CHECK(ledger.missing({{kCpu, amount(1)}, {gpu, amount(3)}, {disk, amount(0.5)}}) ==
        "3 GPU (this node has 1), 0.5 disk (this node has 0)");
}

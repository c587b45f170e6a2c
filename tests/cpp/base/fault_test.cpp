// Fault points: the plan's grammar and its error sentences, counting, seeds, and what at() does.
// Without BOLIDE_FAULTS: that nothing is left of them.
#include "base/fault.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>

#include "support/faults.h"
#include "support/forked.h"

#ifndef BOLIDE_FAULTS

TEST_CASE("fault points compile to nothing") {
  static_assert(!BOLIDE_FAULT_FAIL("anything"));
  BOLIDE_FAULT_AT("anything");
}

#else

using namespace bolide;
using fault::Action;
using fault::Plan;

namespace {
std::string refusal(std::string_view text) {
  Result<Plan> plan = Plan::parse(text, 0);
  return plan.is_ok() ? "accepted" : plan.status().message();
}
}  // namespace

TEST_CASE("a plan reads every part of a rule") {
  Result<Plan> plan = Plan::parse("ring.publish.2=kill@3;memfd.*=fail%250;;a=delay:1500@2%10;", 7);
  REQUIRE(plan.is_ok());
  REQUIRE(plan->rules().size() == 3);
  const fault::Rule& kill = plan->rules()[0];
  CHECK(kill.point == "ring.publish.2");
  CHECK_FALSE(kill.prefix);
  CHECK(kill.action == Action::kKill);
  CHECK(kill.nth == 3);
  CHECK(kill.per_mille == 1000);
  const fault::Rule& fail = plan->rules()[1];
  CHECK(fail.point == "memfd.");
  CHECK(fail.prefix);
  CHECK(fail.action == Action::kFail);
  CHECK(fail.nth == 0);
  CHECK(fail.per_mille == 250);
  const fault::Rule& delay = plan->rules()[2];
  CHECK(delay.action == Action::kDelay);
  CHECK(delay.delay_us == 1500);
  CHECK(delay.nth == 2);
  CHECK(delay.per_mille == 10);
}

TEST_CASE("an empty plan does nothing") {
  Result<Plan> plan = Plan::parse("", 0);
  REQUIRE(plan.is_ok());
  CHECK(plan->empty());
  CHECK_FALSE(plan->visit("x").fail);
}

TEST_CASE("visits are counted for each rule, whatever it decides") {
  Result<Plan> plan = Plan::parse("x=fail@3;y=fail", 0);
  REQUIRE(plan.is_ok());
  for (int i = 0; i < 2; ++i) CHECK_FALSE(plan->visit("x").fail);
  CHECK(plan->visits(0) == 2);
  CHECK(plan->visits(1) == 0);
}

TEST_CASE("a rule that cannot be read is named, with the grammar") {
  const std::string grammar =
      "; write point=kill|delay:MICROSECONDS|fail[@nth][%p], rules separated by ';'";
  CHECK(refusal("a=fail;b") == "fault rule \"b\" names no point" + grammar);
  CHECK(refusal("=fail") == "fault rule \"=fail\" names no point" + grammar);
  CHECK(refusal("a=explode") == "fault rule \"a=explode\" has no known action" + grammar);
  CHECK(refusal("a=") == "fault rule \"a=\" has no known action" + grammar);
  for (const char* bad : {"a=fail@0", "a=fail@", "a=fail@x", "a=fail@-1", "a=fail@2x"}) {
    CHECK(refusal(bad).find("at least 1 behind '@'") != std::string::npos);
  }
  for (const char* bad : {"a=fail%1001", "a=fail%", "a=fail%x"}) {
    CHECK(refusal(bad).find("at most 1000 behind '%'") != std::string::npos);
  }
  for (const char* bad :
       {"a=delay:", "a=delay:x", "a=delay:3600000001", "a=delay:99999999999999999999"}) {
    CHECK(refusal(bad).find("at most one hour, behind 'delay:'") != std::string::npos);
  }
}

TEST_CASE("a point matches by its whole name, or by its beginning with a star") {
  Result<Plan> plan = Plan::parse("ring.a=fail;store.*=fail;*=delay:5", 0);
  REQUIRE(plan.is_ok());
  CHECK(plan->visit("ring.a").fail);
  CHECK_FALSE(plan->visit("ring.ab").fail);
  CHECK_FALSE(plan->visit("ring").fail);
  CHECK(plan->visit("store.").fail);
  CHECK(plan->visit("store.grow").fail);
  CHECK(plan->visit("anything").delay_us == 5);
}

TEST_CASE("all rules that match apply, each counting its own visits") {
  Result<Plan> plan = Plan::parse("a=delay:2;a=delay:3@2;a=fail@3;a=kill@4", 0);
  REQUIRE(plan.is_ok());
  fault::Decision first = plan->visit("a");
  CHECK((first.delay_us == 2 && !first.fail && !first.kill));
  CHECK(plan->visit("a").delay_us == 5);
  CHECK(plan->visit("a").fail);
  CHECK(plan->visit("a").kill);
  CHECK(plan->visit("a").delay_us == 2);
}

TEST_CASE("a probability is decided by the seed and the count of visits alone") {
  auto decisions = [](uint64_t seed, const char* text) {
    Result<Plan> plan = Plan::parse(text, seed);
    std::string result;
    for (int i = 0; i < 10'000; ++i) result += plan->visit("a").fail ? '1' : '0';
    return result;
  };
  std::string once = decisions(1, "a=fail%100");
  CHECK(once == decisions(1, "a=fail%100"));
  CHECK(once != decisions(2, "a=fail%100"));
  auto ones = std::count(once.begin(), once.end(), '1');
  CHECK(ones > 850);
  CHECK(ones < 1150);
  CHECK(decisions(1, "a=fail%0").find('1') == std::string::npos);
  CHECK(decisions(1, "a=fail%1000").find('0') == std::string::npos);
}

TEST_CASE("at() fails, delays and kills as the plan in force says") {
  CHECK_FALSE(fault::at("x"));
  {
    support::FaultPlan plan("x=fail@2;y=delay:1;z=kill");
    CHECK_FALSE(BOLIDE_FAULT_FAIL("x"));
    CHECK(BOLIDE_FAULT_FAIL("x"));
    BOLIDE_FAULT_AT("y");
    support::Ended ended = support::forked([] {
      BOLIDE_FAULT_AT("z");
      return 0;
    });
    CHECK(ended.killed(SIGKILL));
  }
  CHECK_FALSE(fault::at("x"));
}

TEST_CASE("load() refuses what cannot be read and keeps the plan") {
  support::FaultPlan plan("x=fail");
  CHECK(fault::load("nonsense", 0).code() == Code::kInvalid);
  CHECK(fault::at("x"));
}

TEST_CASE("alone: visits a point from the environment" * doctest::skip()) {
  CHECK_FALSE(fault::at("env.point"));
  CHECK(fault::at("env.point"));
}

TEST_CASE("the plan comes from the environment, and a bad one ends the process") {
  const char* alone = "alone: visits a point from the environment";
  CHECK(support::run_alone(alone, {"BOLIDE_FAULT=env.*=fail@2"}).exited(0));
  CHECK(support::run_alone(alone, {"BOLIDE_FAULT=env.*=fail%500", "BOLIDE_FAULT_SEED=x"})
            .said("BOLIDE_FAULT_SEED is not a whole number"));
  support::Ended bad = support::run_alone(alone, {"BOLIDE_FAULT=env.point=explode"});
  CHECK_FALSE(bad.exited(0));
  CHECK(bad.said("fault rule \"env.point=explode\" has no known action"));
}

TEST_CASE("alone: load() before the first visit" * doctest::skip()) {
  CHECK(fault::load("b=fail", 0).is_ok());
  CHECK(fault::at("b"));
  CHECK_FALSE(fault::at("a"));
}

TEST_CASE("a plan loaded at run time replaces the one of the environment") {
  CHECK(support::run_alone("alone: load() before the first visit", {"BOLIDE_FAULT=a=fail"})
            .exited(0));
}

#endif

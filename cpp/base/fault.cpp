// The plan behind the fault points of base/fault.h; empty unless BOLIDE_FAULTS is defined.
//
// The plan is the one global of the core: a fault point sits in code that has no object at hand.
// Replaced plans are kept, since another thread may still be reading one.
#include "base/fault.h"

#ifdef BOLIDE_FAULTS

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>

#include "base/assert.h"

namespace bolide::fault {
namespace {

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Status bad_rule(std::string_view rule, std::string_view why) {
  return Status(Code::kInvalid, "fault rule \"" + std::string(rule) + "\" " + std::string(why) +
                                    "; write point=kill|delay:MICROSECONDS|fail[@nth][%p], rules "
                                    "separated by ';'");
}

// Cuts "head<mark>number" at the last `mark`; false when what follows is no number.
bool cut_number(std::string_view& text, char mark, std::optional<uint64_t>& value) {
  size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return true;
  value = number(text.substr(at + 1));
  text = text.substr(0, at);
  return value.has_value();
}

Result<Rule> parse_rule(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return bad_rule(text, "names no point");
  Rule rule;
  rule.point = text.substr(0, equals);
  if (rule.point.back() == '*') {
    rule.prefix = true;
    rule.point.pop_back();
  }
  std::string_view rest = text.substr(equals + 1);

  std::optional<uint64_t> per_mille;
  if (!cut_number(rest, '%', per_mille) || per_mille.value_or(0) > 1000) {
    return bad_rule(text, "needs a whole number of at most 1000 behind '%'");
  }
  rule.per_mille = static_cast<uint32_t>(per_mille.value_or(1000));

  std::optional<uint64_t> nth;
  if (!cut_number(rest, '@', nth) || nth == 0) {
    return bad_rule(text, "needs a whole number of at least 1 behind '@'");
  }
  rule.nth = nth.value_or(0);

  if (rest == "kill") {
    rule.action = Action::kKill;
  } else if (rest == "fail") {
    rule.action = Action::kFail;
  } else if (rest.starts_with("delay:")) {
    constexpr uint64_t kLongestDelay = 3'600'000'000;  // an hour
    std::optional<uint64_t> delay = number(rest.substr(6));
    if (!delay || *delay > kLongestDelay) {
      return bad_rule(text, "needs microseconds, at most one hour, behind 'delay:'");
    }
    rule.action = Action::kDelay;
    rule.delay_us = static_cast<int64_t>(*delay);
  } else {
    return bad_rule(text, "has no known action");
  }
  return rule;
}

struct Installed {
  Plan plan;
  Installed* previous;
};

std::atomic<Installed*>& installed() {
  static std::atomic<Installed*> current{nullptr};
  return current;
}

void install(Plan plan) {
  auto* entry = new Installed{std::move(plan), nullptr};
  // Release pairs with the acquire load in at(): the reader sees the whole plan.
  entry->previous = installed().load(std::memory_order_acquire);
  while (!installed().compare_exchange_weak(entry->previous, entry, std::memory_order_acq_rel)) {
  }
}

// Once a process, and before any load(), so that the environment never undoes one.
void read_environment() {
  static const bool done = [] {
    const char* text = std::getenv("BOLIDE_FAULT");
    const char* seed_text = std::getenv("BOLIDE_FAULT_SEED");
    std::optional<uint64_t> seed = seed_text == nullptr ? 0 : number(seed_text);
    BOLIDE_CHECK(seed, "BOLIDE_FAULT_SEED is not a whole number");
    Result<Plan> plan = Plan::parse(text == nullptr ? "" : text, *seed);
    if (!plan.is_ok()) {
      check_failed(__FILE__, __LINE__, "BOLIDE_FAULT", plan.status().message().c_str());
    }
    install(plan.take());
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

bool Rule::matches(std::string_view name) const {
  return prefix ? name.starts_with(point) : name == point;
}

Result<Plan> Plan::parse(std::string_view text, uint64_t seed) {
  Plan plan;
  plan.seed_ = seed;
  while (!text.empty()) {
    size_t end = std::min(text.find(';'), text.size());
    std::string_view rule = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (rule.empty()) continue;
    Result<Rule> parsed = parse_rule(rule);
    if (!parsed.is_ok()) return parsed.status();
    plan.rules_.push_back(parsed.take());
  }
  plan.visits_ = std::make_unique<std::atomic<uint64_t>[]>(plan.rules_.size());
  return plan;
}

Decision Plan::visit(std::string_view point) {
  Decision decision;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    if (!rule.matches(point)) continue;
    // Relaxed: the count orders nothing, it only has to give each visit its own number.
    uint64_t visit = visits_[i].fetch_add(1, std::memory_order_relaxed) + 1;
    if (rule.nth != 0 && visit != rule.nth) continue;
    if (mix(seed_ ^ mix(i + 1) ^ mix(visit + (uint64_t{1} << 32))) % 1000 >= rule.per_mille) {
      continue;
    }
    switch (rule.action) {
      case Action::kKill:
        decision.kill = true;
        break;
      case Action::kDelay:
        decision.delay_us += rule.delay_us;
        break;
      case Action::kFail:
        decision.fail = true;
        break;
    }
  }
  return decision;
}

bool at(const char* point) {
  read_environment();
  // Acquire pairs with the release in install().
  Installed* current = installed().load(std::memory_order_acquire);
  if (current->plan.empty()) return false;
  Decision decision = current->plan.visit(point);
  if (decision.delay_us > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(decision.delay_us));
  }
  if (decision.kill) std::raise(SIGKILL);
  return decision.fail;
}

uint64_t visits() {
  read_environment();
  // Acquire pairs with the release in install().
  const Plan& plan = installed().load(std::memory_order_acquire)->plan;
  return plan.empty() ? 0 : plan.visits(0);
}

Status load(std::string_view text, uint64_t seed) {
  read_environment();
  Result<Plan> plan = Plan::parse(text, seed);
  if (!plan.is_ok()) return plan.status();
  install(plan.take());
  return Status();
}

}  // namespace bolide::fault

#endif

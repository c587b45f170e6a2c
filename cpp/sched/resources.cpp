#include "sched/resources.h"

#include <cstdio>

namespace bolide::sched {
namespace {

std::string amount_text(Amount amount) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(amount) / kUnit);
  std::string out = text;
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

}  // namespace

uint32_t Ledger::intern(std::string_view name) {
  for (uint32_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == name) return i;
  }
  names_.emplace_back(name);
  widen(names_.size());
  return static_cast<uint32_t>(names_.size() - 1);
}

void Room::set_total(uint32_t resource, Amount amount) {
  free_[resource] += amount - total_[resource];
  total_[resource] = amount;
  if (resource == kGpu) devices_.set_total(amount);
}

std::string Ledger::describe(const Need& need) const {
  std::string out;
  for (const Quantity& q : need) {
    if (!out.empty()) out += ", ";
    out += amount_text(q.amount) + " " + names_[q.resource];
  }
  return out.empty() ? "nothing" : out;
}

std::string Ledger::missing(const Need& need, const Room& room, std::string_view who) const {
  std::string out;
  for (const Quantity& q : need) {
    if (room.total(q.resource) >= q.amount) continue;
    if (!out.empty()) out += ", ";
    out += amount_text(q.amount) + " " + names_[q.resource] + " (" + std::string(who) + " has " +
           amount_text(room.total(q.resource)) + ")";
  }
  return out;
}

}  // namespace bolide::sched

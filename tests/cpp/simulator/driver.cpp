#include "simulator/driver.h"

#include <algorithm>

namespace simulator {

Driver::Driver(const Plan& plan, const Load& load, SimNode& node, Oracle& oracle, Host& host,
               uint64_t seed)
    : plan_(plan), load_(load), node_(node), oracle_(oracle), host_(host), random_(seed),
      left_(plan.tasks) {}

Nanos Driver::wakes() const {
  if (done() || waits()) return INT64_MAX;
  return pause_until_;
}

void Driver::step() {
  if (left_ == 0) {
    // The end: everything that is held is looked at, then dropped.
    if (held_.empty()) return;
    begin_wait(held_.size());
    return;
  }
  if (held_.size() >= plan_.most_in_flight || random_.per_mille(plan_.wait_per_mille)) {
    if (random_.one_in(3) && !held_.empty()) {
      drop(random_.below(held_.size()));  // without looking
    } else {
      begin_wait(1 + random_.below(8));
    }
  } else if (random_.per_mille(plan_.put_per_mille)) {
    put();
  } else {
    submit();
  }
  if (plan_.longest_pause > 0 && random_.one_in(20)) {
    pause_until_ = host_.now() +
                   static_cast<Nanos>(random_.below(static_cast<uint64_t>(plan_.longest_pause)));
  }
}

std::vector<uint64_t> Driver::some(uint64_t most) {
  std::vector<uint64_t> ids;
  for (uint64_t n = held_.empty() ? 0 : random_.below(most + 1); n > 0; --n) {
    ids.push_back(held_[random_.below(held_.size())].id);
  }
  return ids;
}

void Driver::submit() {
  // A function is exported, used for some tasks, and its handle dropped: tasks keep it alive.
  if (functions_.empty() || random_.one_in(30)) {
    const ObjectId id = node_.next_ids(1);
    std::vector<std::byte> code(random_.one_in(8) ? 40'000 : 100);
    functions_.push_back({id.value, node_.put_inline(id, code, {}, ipc::kFunction)});
    if (functions_.size() > 3) {
      node_.release(functions_.front().entry);
      functions_.erase(functions_.begin());
    }
  }
  const uint64_t function = functions_[random_.below(functions_.size())].id;
  const auto dependencies = some(random_.one_in(20) ? 12 : 2);
  const auto contained = some(2);
  TaskSpec spec;
  spec.seed = random_.next();
  spec.depth = static_cast<int>(random_.below(static_cast<uint64_t>(load_.depth) + 1));
  spec.returns = random_.one_in(6) ? static_cast<uint32_t>(random_.below(5)) : 1;
  spec.dependencies = static_cast<uint32_t>(dependencies.size());
  spec.contained = static_cast<uint32_t>(contained.size());
  spec.cls = random_.below(load_.classes);
  const auto max_retries = random_.one_in(4) ? -1 : static_cast<int32_t>(random_.below(4));
  const Arguments given{spec.seed, spec.depth, spec.returns};
  std::vector<std::byte> arguments(
      sizeof given + (random_.per_mille(load_.huge_per_mille) ? 50'000 : random_.below(200)));
  std::memcpy(arguments.data(), &given, sizeof given);
  const ObjectId id = node_.next_ids(std::max<uint32_t>(1, spec.returns));
  host_.trace("driver: submits task %lx", id.value);
  oracle_.submitted(id.value, spec, max_retries, dependencies, contained);
  ObjectEntry* first = node_.submit(
      id, {function, spec.cls, dependencies, contained, arguments, spec.returns, max_retries});
  for (uint32_t i = 0; i < spec.returns; ++i) {
    // The first return's entry comes with a reference for the caller; so do the others.
    ObjectEntry* entry = i == 0 ? first : node_.find(id.value + i);
    held_.push_back({id.value + i, entry});
  }
  --left_;
  if (left_ == 0) {
    for (const Held& held : functions_) node_.release(held.entry);
    functions_.clear();
  }
  if (++submits_ % 32 == 0) node_.drain();
}

void Driver::put() {
  const auto contained = some(2);
  const auto known = oracle_.known(contained);
  const uint64_t digest = put_digest(random_.next(), 0, known);
  uint64_t size = value_size(contained.size()) + random_.below(100);
  if (random_.one_in(3)) size += random_.below(load_.largest);
  ObjectId id{};
  ObjectEntry* entry = nullptr;
  if (size > 8192) {
    const auto slot = node_.reserve(size);
    if (!slot.has_value()) return;  // full: perhaps later
    id = node_.next_ids(1);
    write_value(slot->data, size, digest, contained);
    entry = node_.put_stored(id, *slot, contained);
  } else {
    id = node_.next_ids(1);
    std::vector<std::byte> bytes(size);
    write_value(bytes.data(), size, digest, contained);
    entry = node_.put_inline(id, bytes, contained, 0);
  }
  oracle_.put(id.value, std::make_shared<Value>(Value{digest, known}));
  held_.push_back({id.value, entry});
}

void Driver::begin_wait(size_t most) {
  if (held_.empty()) return;
  for (size_t n = std::min(most, held_.size()); n > 0; --n) {
    const size_t i = random_.below(held_.size());
    awaited_.push_back(held_[i]);
    held_[i] = held_.back();
    held_.pop_back();
  }
  needed_ = static_cast<uint32_t>(left_ == 0 ? awaited_.size()
                                             : 1 + random_.below(awaited_.size()));
  node_.someone_waits(true);
  look();
}

void Driver::look() {
  if (!waits()) return;
  const auto ready = std::count_if(awaited_.begin(), awaited_.end(),
                                   [](const Held& held) { return held.entry->ready(); });
  if (static_cast<uint32_t>(ready) < needed_) return;
  node_.someone_waits(false);
  for (const Held& held : awaited_) {
    if (held.entry->ready()) {
      check_value(held);
      if (left_ == 0 || random_.one_in(2)) {
        node_.release(held.entry);
        continue;
      }
    }
    held_.push_back(held);
  }
  awaited_.clear();
}

void Driver::check_value(const Held& held) {
  const store::ValueBytes bytes = node_.value(held.entry);
  const auto read = oracle_.value(held.id, bytes.data, bytes.size, held.entry->value_flags);
  ++checked_;
  if (read.error) return;
  // Decoding takes the references inside; some are kept, the others are dropped again.
  for (uint64_t id : read.ids) {
    ObjectEntry* inner = node_.acquire(id);
    if (left_ > 0 && random_.one_in(2)) {
      held_.push_back({id, inner});
    } else {
      node_.release(inner);
    }
  }
}

void Driver::drop(size_t i) {
  node_.release(held_[i].entry);
  held_[i] = held_.back();
  held_.pop_back();
}

}  // namespace simulator

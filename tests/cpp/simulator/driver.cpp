#include "simulator/driver.h"

#include <algorithm>

namespace simulator {

using namespace bolide;
using node::Node;
using node::WaitMode;
using node::WaitResult;

Driver::Driver(const Context& context, const Plan& plan, Node& node, Service& service,
               uint64_t seed)
    : context_(context),
      plan_(plan),
      node_(node),
      service_(service),
      random_(seed),
      left_(plan.tasks) {}

void Driver::run() {
  while (left_ > 0 && !closed_) step();
  while (!held_.empty() && !closed_) wait(held_.size());
  while (!held_.empty()) node_.release(take(held_.size() - 1));
  for (ObjectEntry* entry : functions_) node_.release(entry);
}

bool Driver::closed(const Status& status) {
  if (status.code() == Code::kClosed) closed_ = true;
  return closed_;
}

void Driver::step() {
  if (held_.size() >= plan_.most_in_flight || random_.per_mille(plan_.wait_per_mille)) {
    if (random_.one_in(3) && !held_.empty()) {
      node_.release(take(random_.below(held_.size())));  // without looking
    } else {
      wait(1 + random_.below(8));
    }
  } else if (random_.per_mille(plan_.put_per_mille)) {
    put();
  } else {
    submit();
  }
  if (random_.per_mille(context_.load.cancels_per_mille) && !held_.empty()) cancel();
  if (random_.per_mille(plan_.watch_per_mille) && !held_.empty() && !closed_) {
    service_.watch(take(random_.below(held_.size())));
  }
  if (plan_.longest_pause > 0 && random_.one_in(20)) {
    context_.machine.sleep(
        static_cast<Nanos>(random_.below(static_cast<uint64_t>(plan_.longest_pause))));
  }
}

ObjectEntry* Driver::take(size_t i) {
  std::swap(held_[i], held_.back());
  ObjectEntry* entry = held_.back();
  held_.pop_back();
  return entry;
}

std::vector<uint64_t> Driver::some(uint64_t most) {
  std::vector<uint64_t> ids;
  for (uint64_t n = held_.empty() ? 0 : random_.below(most + 1); n > 0; --n) {
    ids.push_back(held_[random_.below(held_.size())]->id.value);
  }
  return ids;
}

void Driver::submit() {
  // A function is exported, used for some tasks, and its handle dropped: tasks keep it alive.
  if (functions_.empty() || random_.one_in(30)) {
    const auto made = [&]() -> Result<ObjectEntry*> {
      if (random_.one_in(4)) {
        auto slot = node_.reserve(40'000, false, now(), 0);
        if (slot.is_ok()) return node_.put_stored(*slot, {}, ipc::kFunction, false);
      }
      std::vector<std::byte> code(random_.one_in(8) ? 8'000 : 100);
      return node_.put_inline(code.data(), code.size(), {}, ipc::kFunction);
    };
    auto function = made();
    if (!function.is_ok()) {
      if (!closed(function.status())) fail("%s", function.status().message().c_str());
      return;
    }
    functions_.push_back(*function);
    if (functions_.size() > 3) {
      node_.release(functions_.front());
      functions_.erase(functions_.begin());
    }
  }
  const Load& load = context_.load;
  Call call;
  call.function = functions_[random_.below(functions_.size())]->id.value;
  call.dependencies = some(random_.one_in(20) ? 12 : 2);
  call.contained = some(2);
  call.size = random_.per_mille(load.huge_per_mille) ? 50'000 : random_.below(200);
  if (random_.per_mille(load.bulky_per_mille)) call.size += 5'000 + random_.below(20'000);
  call.max_retries = random_.one_in(4) ? -1 : static_cast<int32_t>(random_.below(4));
  if (random_.per_mille(load.raises_per_mille)) call.raises = 1 + random_.one_in(2);
  call.spec.seed = random_.next();
  call.spec.depth = static_cast<int>(random_.below(static_cast<uint64_t>(load.depth) + 1));
  call.spec.returns = random_.one_in(6) ? static_cast<uint32_t>(random_.below(5)) : 1;
  call.spec.dependencies = static_cast<uint32_t>(call.dependencies.size());
  call.spec.contained = static_cast<uint32_t>(call.contained.size());
  call.spec.cls = random_.below(load.classes);
  const Status status = simulator::submit(context_, node_, call, &held_);
  --left_;
  if (!status.is_ok() && !closed(status)) fail("a submit failed: %s", status.message().c_str());
}

void Driver::put() {
  const auto contained = some(2);
  const auto known = context_.oracle.known(contained);
  const uint64_t digest = put_digest(random_.next(), 0, known);
  uint64_t size = value_size(contained.size()) + random_.below(100);
  if (random_.one_in(3)) size += random_.below(context_.load.largest);
  const auto made = [&]() -> Result<ObjectEntry*> {
    if (size <= node_.inline_limit()) {
      std::vector<std::byte> bytes(size);
      write_value(bytes.data(), size, digest, contained);
      return node_.put_inline(bytes.data(), size, contained, 0);
    }
    const Nanos limit = now() + static_cast<Nanos>(random_.below(20 * kMillisecond));
    auto slot = node_.reserve(size, false, now(), limit);
    if (!slot.is_ok()) return slot.status();
    write_value(slot->data, size, digest, contained);
    if (random_.one_in(20)) {
      node_.abandon(*slot);
      return Status(Code::kFull, "it was interrupted");
    }
    return node_.put_stored(*slot, contained, 0, false);
  }();
  if (!made.is_ok()) {
    const Status status = made.status();
    if (closed(status) || status.code() == Code::kFull || status.code() == Code::kTimeout) return;
    fail("a put failed: %s", status.message().c_str());
  }
  context_.oracle.put((*made)->id.value, std::make_shared<Value>(Value{digest, known}));
  held_.push_back(*made);
}

void Driver::cancel() {
  ObjectEntry* entry = held_[random_.below(held_.size())];
  const bool recursive = random_.one_in(2);
  context_.oracle.cancelling(entry->id.value, recursive);
  node_.cancel(entry, random_.one_in(3), recursive);
}

void Driver::wait(size_t most) {
  if (held_.empty()) return;
  std::vector<ObjectEntry*> awaited;
  for (size_t n = std::min(most, held_.size()); n > 0; --n) {
    ObjectEntry* entry = take(random_.below(held_.size()));
    const bool twice = std::find(awaited.begin(), awaited.end(), entry) != awaited.end();
    twice ? node_.release(entry) : awaited.push_back(entry);
  }
  const uint64_t needed = left_ == 0 ? awaited.size() : 1 + random_.below(awaited.size());
  if (awaited.size() == 1 && random_.one_in(2)) node_.spin(awaited[0]);
  const Nanos until =
      random_.one_in(4) ? now() + static_cast<Nanos>(random_.below(kMillisecond)) : INT64_MAX;
  WaitMode mode;
  WaitResult result = WaitResult::kTurnOver;
  while (result == WaitResult::kTurnOver && (until == INT64_MAX || now() < until)) {
    result = node_.wait(awaited, static_cast<uint32_t>(needed), until, mode);  // or a signal came
  }
  if (result == WaitResult::kClosed) closed_ = true;
  const auto ready = std::count_if(awaited.begin(), awaited.end(),
                                   [](const ObjectEntry* entry) { return entry->ready(); });
  if (result == WaitResult::kReady && static_cast<uint64_t>(ready) < needed) {
    fail("%lu objects were waited for, %ld are ready", needed, ready);
  }
  for (ObjectEntry* entry : awaited) {
    if (!closed_ && entry->ready()) {
      check_value(entry);
      if (left_ == 0 || random_.one_in(2)) {
        node_.release(entry);
        continue;
      }
    }
    held_.push_back(entry);
  }
}

void Driver::check_value(ObjectEntry* entry) {
  const Oracle::Read value = read_value(context_, node_, entry);
  // Decoding takes the references inside; some are kept, the others are dropped again.
  for (uint64_t id : value.ids) {
    ObjectEntry* inner = node_.acquire(ObjectId{id});
    if (inner == nullptr) fail("object %lx is gone although its container is there", id);
    if (left_ > 0 && random_.one_in(2)) {
      held_.push_back(inner);
    } else {
      node_.release(inner);
    }
  }
}

}  // namespace simulator

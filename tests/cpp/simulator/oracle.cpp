#include "simulator/oracle.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "ipc/records.h"
#include "node/system_error.h"

namespace simulator {

using namespace bolide;
using node::SystemErrorKind;

Oracle::Task& Oracle::task(uint64_t key) {
  const auto found = tasks_.find(key);
  if (found == tasks_.end()) fail("task %lu was never submitted", key);
  return found->second;
}

Known Oracle::known(uint64_t object) const {
  const auto found = objects_.find(object);
  if (found == objects_.end()) fail("object %lx was never made", object);
  return found->second;
}

std::vector<Known> Oracle::known(std::span<const uint64_t> objects) const {
  std::vector<Known> values;
  for (uint64_t object : objects) values.push_back(known(object));
  return values;
}

uint64_t Oracle::submitting(const TaskSpec& spec, int32_t max_retries,
                            std::span<const uint64_t> dependencies,
                            std::span<const uint64_t> contained) {
  Task made;
  made.max_retries = max_retries;
  made.returns = evaluate(spec, load_, known(dependencies), known(contained));
  tasks_.emplace(next_key_, std::move(made));
  return next_key_++;
}

void Oracle::named(uint64_t key, uint64_t id) {
  const Task& t = task(key);
  for (size_t i = 0; i < t.returns.size(); ++i) {
    const auto [at, is_new] = objects_.emplace(id + i, t.returns[i]);
    if (!is_new && at->second != t.returns[i]) fail("object %lx has two makers", id + i);
    makers_[id + i] = key;
  }
}

void Oracle::begun(uint64_t key, uint64_t id, uint32_t attempt) {
  named(key, id);
  Task& t = task(key);
  ++t.begun;
  if (t.visible) fail("task %lu was begun again after its result could be seen", key);
  if (attempt < t.deaths || attempt > t.deaths + t.perhaps) {
    fail("task %lu is in attempt %u, but %u deaths have hit it", key, attempt, t.deaths);
  }
  t.deaths = attempt;
  t.perhaps = 0;
  if (t.begun > 1 + t.deaths) {
    fail("task %lu was begun %u times with %u deaths while it ran", key, t.begun, t.deaths);
  }
}

void Oracle::failed(uint64_t key) {
  ++task(key).deaths;
}

void Oracle::cancelling(uint64_t object, bool recursive) {
  const auto maker = makers_.find(object);
  if (maker == makers_.end()) return;  // it was put
  task(maker->second).cancelled = true;
  all_may_be_cancelled_ |= recursive;
}

void Oracle::died(uint64_t key, bool surely) {
  Task& t = task(key);
  ++(surely ? t.deaths : t.perhaps);
  ++deaths_;
}

void Oracle::visible(uint64_t key) {
  Task& t = task(key);
  if (t.visible) fail("task %lu has given a result twice", key);
  t.visible = true;
}

void Oracle::check_error(const std::byte* bytes, uint64_t size) {
  ++errors_;
  if (size < 8) fail("an error of %lu bytes", size);
  uint32_t number;
  std::memcpy(&number, bytes, sizeof number);
  const auto kind = static_cast<SystemErrorKind>(number);
  // Terminated: the task's number is parsed from it.
  const std::string sentence(reinterpret_cast<const char*>(bytes) + 8, size - 8);
  if (kind == SystemErrorKind::kRuntimeEnvSetup && starts_may_fail) return;
  if (kind == SystemErrorKind::kObjectStoreFull && memory_may_be_short) return;
  if (kind == SystemErrorKind::kRaySystem && may_be_shut_down) return;
  const bool cancelled = kind == SystemErrorKind::kTaskCancelled;
  const std::string_view before = cancelled ? "a call of '" : "the task '";
  const size_t at = sentence.find(before);
  if ((!cancelled && kind != SystemErrorKind::kWorkerCrashed) || at == std::string::npos) {
    fail("an error of kind %u: %s", number, sentence.c_str());
  }
  const uint64_t key = std::strtoull(sentence.c_str() + at + before.size(), nullptr, 10);
  const Task& t = task(key);
  if (cancelled || sentence.find("killed by cancel") != std::string::npos) {
    if (!t.cancelled && !all_may_be_cancelled_) fail("task %lu was cancelled by nobody", key);
  } else if (!t.exhausted()) {
    fail("task %lu failed after %u deaths with %d retries", key, t.deaths, t.max_retries);
  }
}

Oracle::Read Oracle::unfetched(const std::string& failure) {
  check_error(reinterpret_cast<const std::byte*>(failure.data()), failure.size());
  return {true, 0, {}, failure};
}

Oracle::Read Oracle::value(uint64_t object, const std::byte* bytes, uint64_t size, uint8_t flags) {
  Read read{false, 0, {}, {}};
  const Known expected = known(object);
  ++checked_;
  if (bytes == nullptr) fail("object %lx has no bytes", object);
  if ((flags & ipc::kError) != 0) {
    check_error(bytes, size);
    read.error = true;
    return read;
  }
  if (!read_value(bytes, size, &read.digest, &read.ids)) fail("object %lx is garbled", object);
  if (read.digest != expected->digest) fail("object %lx has a wrong value", object);
  if (read.ids.size() != expected->contained.size()) {
    fail("object %lx holds %zu references instead of %zu", object, read.ids.size(),
         expected->contained.size());
  }
  for (size_t i = 0; i < read.ids.size(); ++i) {
    if (known(read.ids[i])->digest != expected->contained[i]->digest) {
      fail("object %lx holds a reference to the wrong object", object);
    }
  }
  return read;
}

void Oracle::at_end() const {
  for (const auto& [key, t] : tasks_) {
    // A death may also come before a task is begun, once it is claimed.
    if (t.begun > 1 + t.deaths) fail("task %lu was begun too often", key);
    if (t.visible && t.perhaps == 0 && t.exhausted()) {
      fail("task %lu both has a result and failed", key);
    }
  }
}

}  // namespace simulator

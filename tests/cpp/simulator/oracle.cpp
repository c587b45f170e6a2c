#include "simulator/oracle.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "ipc/records.h"
#include "node/system_error.h"

namespace simulator {

using namespace bolide;

void fail(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Failure{text};
}

Oracle::Task& Oracle::task(uint64_t id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) fail("task %lx was never submitted", id);
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

void Oracle::submitted(uint64_t id, const TaskSpec& spec, int32_t max_retries,
                       std::span<const uint64_t> dependencies,
                       std::span<const uint64_t> contained) {
  if (tasks_.contains(id)) fail("task id %lx is used twice", id);
  tasks_[id].max_retries = max_retries;
  const auto returns = evaluate(spec, load_, known(dependencies), known(contained));
  for (size_t i = 0; i < returns.size(); ++i) put(id + i, returns[i]);
}

void Oracle::begun(uint64_t id, uint32_t attempt) {
  Task& t = task(id);
  ++t.begun;
  if (t.visible) fail("task %lx was begun again after its result could be seen", id);
  if (attempt != t.deaths) {
    fail("task %lx is in attempt %u, but %u deaths have hit it", id, attempt, t.deaths);
  }
  if (t.begun > 1 + t.deaths) {
    fail("task %lx was begun %u times with %u deaths while it ran", id, t.begun, t.deaths);
  }
}

void Oracle::died(uint64_t id) {
  ++task(id).deaths;
  ++deaths_;
}

void Oracle::visible(uint64_t id) {
  Task& t = task(id);
  if (t.visible) fail("task %lx has given a result twice", id);
  t.visible = true;
}

void Oracle::crashed(const std::byte* bytes, uint64_t size) {
  const auto* text = reinterpret_cast<const char*>(bytes);
  if (size < 8) fail("an error of %lu bytes", size);
  uint32_t kind;
  std::memcpy(&kind, bytes, sizeof kind);
  const std::string_view sentence(text + 8, size - 8);
  const std::string shown(sentence.substr(0, 300));
  if (gave_up_ && kind == static_cast<uint32_t>(node::SystemErrorKind::kRuntimeEnvSetup)) return;
  if (kind != static_cast<uint32_t>(node::SystemErrorKind::kWorkerCrashed)) {
    fail("an error of kind %u: %s", kind, shown.c_str());
  }
  constexpr std::string_view kBefore = "the task '";
  const size_t at = sentence.find(kBefore);
  if (at == std::string_view::npos) fail("an error that names no task: %s", shown.c_str());
  const uint64_t id = std::strtoull(text + 8 + at + kBefore.size(), nullptr, 10);
  const Task& t = task(id);
  if (!t.exhausted()) {
    fail("task %lx failed after %u deaths with %d retries", id, t.deaths, t.max_retries);
  }
}

Oracle::Read Oracle::value(uint64_t object, const std::byte* bytes, uint64_t size, uint8_t flags) {
  Read read{false, 0, {}};
  const Known expected = known(object);
  if (bytes == nullptr) fail("object %lx has no bytes", object);
  if ((flags & ipc::kError) != 0) {
    crashed(bytes, size);
    read.error = true;
    ++errors_;
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
  for (const auto& [id, t] : tasks_) {
    // Each attempt but the last was ended by a death; a death may also come before it is begun,
    // once it is claimed.
    if (t.begun > 1 + t.deaths) fail("task %lx was begun too often", id);
    if (t.visible && t.exhausted()) fail("task %lx both has a result and failed", id);
  }
}

}  // namespace simulator

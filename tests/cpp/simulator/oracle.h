// oracle: what must be true, kept apart from the runtime: the value of every object, how often
// each task was begun, and by how many deaths it was hit while it ran. It never asks the runtime.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "simulator/program.h"

namespace simulator {

// Failure is how a check of the simulator ends a run.
struct Failure {
  std::string text;
};
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...);

class Oracle {
 public:
  explicit Oracle(const Load& load) : load_(load) {}

  void put(uint64_t object, Known value) { objects_[object] = std::move(value); }
  // submitted: its returns, `task` and the ids after it, will have the values that follow.
  void submitted(uint64_t task, const TaskSpec& spec, int32_t max_retries,
                 std::span<const uint64_t> dependencies, std::span<const uint64_t> contained);

  // begun: a worker has claimed the task and read its record.
  void begun(uint64_t task, uint32_t attempt);
  // died: its worker died after claiming it to run, before its result could be seen.
  void died(uint64_t task);
  // gave_up: from now on tasks may fail because no worker could be started.
  void gave_up() { gave_up_ = true; }
  // visible: its result lies in a ring for the node to see.
  void visible(uint64_t task);

  // value checks what a reader got; the digest, or nothing if it is an error that may be.
  struct Read {
    bool error;
    uint64_t digest;
    std::vector<uint64_t> ids;
  };
  Read value(uint64_t object, const std::byte* bytes, uint64_t size, uint8_t flags);

  Known known(uint64_t object) const;
  std::vector<Known> known(std::span<const uint64_t> objects) const;

  // at_end: nothing is left half done.
  void at_end() const;

  uint64_t tasks() const { return tasks_.size(); }
  uint64_t deaths() const { return deaths_; }
  uint64_t errors() const { return errors_; }

 private:
  struct Task {
    int32_t max_retries = 0;
    uint32_t begun = 0;
    uint32_t deaths = 0;
    bool visible = false;
    bool exhausted() const {
      return max_retries >= 0 && deaths == static_cast<uint32_t>(max_retries) + 1;
    }
  };
  Task& task(uint64_t id);
  // crashed checks the text of an error that the node made: the task it names has no attempt left.
  void crashed(const std::byte* bytes, uint64_t size);

  const Load& load_;
  std::unordered_map<uint64_t, Task> tasks_;
  std::unordered_map<uint64_t, Known> objects_;
  uint64_t deaths_ = 0;
  uint64_t errors_ = 0;
  bool gave_up_ = false;
};

}  // namespace simulator

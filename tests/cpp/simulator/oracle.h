// oracle: what must be true, kept apart from the runtime: the value of every object, how often each
// task was begun, and by how many deaths it was hit while it ran. It never asks the runtime.
//
// A call of a remote function has a key, since its id is not known before the node may run it.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "simulated/machine.h"
#include "simulator/program.h"

namespace simulator {

class Oracle {
 public:
  explicit Oracle(const Load& load) : load_(load) {}
  // What errors there may be beside those of dead workers.
  bool starts_may_fail = false;
  bool memory_may_be_short = false;
  bool may_be_shut_down = false;

  void put(uint64_t object, Known value) { objects_[object] = std::move(value); }
  // submitting: a call is about to be made with these arguments; its key.
  uint64_t submitting(const TaskSpec& spec, int32_t max_retries,
                      std::span<const uint64_t> dependencies, std::span<const uint64_t> contained);
  // named: the call's returns are `task` and the ids after it.
  void named(uint64_t key, uint64_t task);

  // begun: a worker has claimed the task and read its record.
  void begun(uint64_t key, uint64_t task, uint32_t attempt);
  // failed: this attempt is about to end with an exception, and another one follows.
  void failed(uint64_t key);
  // cancelling: somebody asks for the end of the task that makes the object.
  void cancelling(uint64_t object, bool recursive);
  // died: its worker died after claiming it to run, before its result could be seen. `surely`
  // false: while the node was about to take it back, so that both may be right.
  void died(uint64_t key, bool surely);
  // visible: its result lies in a ring for the node to see.
  void visible(uint64_t key);

  // value checks what a reader got; the digest and ids, or nothing if it is an error that may be.
  struct Read {
    bool error;
    uint64_t digest;
    std::vector<uint64_t> ids;
    std::string failure;  // an error that is not the value: it could not be had now
  };
  // unfetched is what a reader gets who finds no room for a value that is on the disk.
  Read unfetched(const std::string& failure);
  Read value(uint64_t object, const std::byte* bytes, uint64_t size, uint8_t flags);

  Known known(uint64_t object) const;
  std::vector<Known> known(std::span<const uint64_t> objects) const;

  // at_end: nothing is left half done.
  void at_end() const;

  uint64_t tasks() const { return tasks_.size(); }
  uint64_t deaths() const { return deaths_; }
  uint64_t errors() const { return errors_; }
  uint64_t checked() const { return checked_; }

 private:
  struct Task {
    int32_t max_retries = 0;
    uint32_t begun = 0;
    uint32_t deaths = 0;   // and attempts that have failed
    uint32_t perhaps = 0;  // deaths that may count too
    bool visible = false;
    bool cancelled = false;
    std::vector<Known> returns;
    bool exhausted() const {
      return max_retries >= 0 && deaths + perhaps > static_cast<uint32_t>(max_retries);
    }
  };
  Task& task(uint64_t key);
  // check_error checks an error that the node made: the task that it names has no attempt left, or
  // was cancelled.
  void check_error(const std::byte* bytes, uint64_t size);

  const Load& load_;
  uint64_t next_key_ = 1;
  std::unordered_map<uint64_t, Task> tasks_;       // by key
  std::unordered_map<uint64_t, Known> objects_;    // by id
  std::unordered_map<uint64_t, uint64_t> makers_;  // keys by id
  bool all_may_be_cancelled_ = false;  // a cancellation goes on to what the task has started
  uint64_t deaths_ = 0;
  uint64_t errors_ = 0;
  uint64_t checked_ = 0;
};

}  // namespace simulator

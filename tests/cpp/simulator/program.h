// program: what a simulated task does, and what comes of it.
//
// A task's seed makes its program; programs submit, put, get, wait, drop and keep. What a task
// returns is a pure function of its seed and of the values it is given, however often and in
// whatever order it was run: evaluate() says what must come out. No runtime here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "simulated/random.h"

namespace simulator {

// The scheduling classes: one CPU, half of one, none, a custom resource, all CPUs. A task of class
// kDisk keeps its resource while it waits, so two of them could wait for each other for ever:
// those never wait.
inline constexpr uint64_t kHalf = 1;
inline constexpr uint64_t kNoCpu = 2;
inline constexpr uint64_t kDisk = 3;
inline constexpr uint64_t kAll = 4;

// What an object's value must be: a digest, and the objects whose references it holds.
struct Value;
using Known = std::shared_ptr<const Value>;
struct Value {
  uint64_t digest;
  std::vector<Known> contained;
};

// The kinds of load that a seed chooses from.
struct Load {
  int depth = 2;          // of nesting
  uint64_t most_ops = 6;  // in a program
  bolide::Nanos shortest = 1'000;
  bolide::Nanos longest = 50'000;
  uint64_t long_per_mille = 0;     // tasks that take a hundred times as long
  uint64_t bulky_per_mille = 0;    // arguments and values that fill a ring soon
  uint64_t large_per_mille = 50;   // values that go to the store
  uint64_t huge_per_mille = 10;    // arguments and results larger than a record may be
  uint64_t largest = 100'000;      // bytes of a value
  uint64_t classes = 1;            // scheduling classes in use
  uint64_t raises_per_mille = 0;   // tasks whose first attempts fail, so that they run again
  uint64_t leaves_per_mille = 0;   // tasks after which the worker ends by itself
  uint64_t cancels_per_mille = 0;  // operations that cancel a task
};

// A task as it is submitted; what of it travels in the arguments is in Arguments.
struct TaskSpec {
  uint64_t seed = 0;
  int depth = 0;
  uint32_t returns = 1;
  uint32_t dependencies = 0;
  uint32_t contained = 0;
  uint64_t cls = 0;
};

// `key` is the number of the call: a task that runs again makes its calls again, each of which is
// another one.
struct Arguments {
  uint64_t seed;
  uint64_t key;
  int32_t depth;
  uint32_t returns;
  uint32_t raises;  // of its attempts
  uint32_t reserved;
};

struct Op {
  enum class Kind {
    kCompute,
    kBurst,  // puts, and drops at once, more than fits into a ring
    kSubmit,
    kPut,
    kGet,
    kWait,
    kAside,  // another thread waits for it
    kCancel,
    kDrop,
    kKeep,
    kForget
  } kind;
  bolide::Nanos duration = 0;
  uint32_t slot = 0;    // kGet to kKeep
  bool unpack = false;  // kGet: also get the first reference that the value holds
  bool force = false;   // kCancel
  bool recursive = false;
  uint64_t size = 0;  // kPut; kSubmit: of the arguments
  int32_t max_retries = 0;
  uint32_t raises = 0;
  TaskSpec task;                       // kSubmit
  std::vector<uint32_t> dependencies;  // slots
  std::vector<uint32_t> contained;     // slots
};

struct Return {
  uint64_t size;
  std::vector<uint32_t> contained;  // slots
};

// A program refers to objects by slots: first those contained in its arguments, then what it
// puts and what its tasks return, in order.
struct Program {
  std::vector<bool> unpack;  // for each dependency: get the first reference that it holds
  std::vector<Op> ops;
  std::vector<Return> returns;
  bool leaves = false;
};

Program make_program(const TaskSpec& task, const Load& load);

// Digests are folded in the order of the program by both the worker and evaluate().
inline uint64_t first_digest(const TaskSpec& task) {
  return mix(task.seed, 77);
}
inline uint64_t put_digest(uint64_t seed, size_t op, std::span<const Known> contained) {
  uint64_t digest = mix(seed, 1000 + op);
  for (const Known& inner : contained) digest = mix(digest, inner->digest);
  return digest;
}
inline uint64_t return_digest(uint64_t digest, size_t index, std::span<const Known> contained) {
  digest = mix(digest, 2000 + index);
  for (const Known& inner : contained) digest = mix(digest, inner->digest);
  return digest;
}

std::vector<Known> evaluate(const TaskSpec& task, const Load& load,
                            std::span<const Known> dependencies, std::span<const Known> contained);

// The bytes of a value: digest, number of references, their ids, then bytes that follow from the
// digest. `size` is at least value_size().
inline uint64_t value_size(size_t references) {
  return 16 + 8 * references;
}
void write_value(std::byte* to, uint64_t size, uint64_t digest, std::span<const uint64_t> ids);
// read_value checks every byte; false: they are not what was written.
bool read_value(const std::byte* from, uint64_t size, uint64_t* digest, std::vector<uint64_t>* ids);

}  // namespace simulator

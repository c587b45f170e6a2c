#include "simulator/program.h"

#include <algorithm>
#include <cstring>

namespace simulator {
namespace {

// The slots that a program has and has not dropped, while it is being made.
class Slots {
 public:
  explicit Slots(uint32_t first) : next_(first) {
    for (uint32_t i = 0; i < first; ++i) there_.push_back(i);
  }
  void add(uint32_t count) {
    while (count-- > 0) there_.push_back(next_++);
  }
  bool empty() const { return there_.empty(); }
  uint32_t any(Random& random) const { return there_[random.below(there_.size())]; }
  uint32_t take(Random& random) {
    const size_t i = random.below(there_.size());
    const uint32_t slot = there_[i];
    there_.erase(there_.begin() + static_cast<std::ptrdiff_t>(i));
    return slot;
  }
  std::vector<uint32_t> some(Random& random, uint64_t most) const {
    std::vector<uint32_t> slots;
    for (uint64_t n = there_.empty() ? 0 : random.below(most + 1); n > 0; --n) {
      slots.push_back(any(random));
    }
    return slots;
  }

 private:
  std::vector<uint32_t> there_;
  uint32_t next_;
};

uint64_t size_of_value(Random& random, const Load& load, size_t references) {
  const uint64_t least = value_size(references);
  if (random.per_mille(load.huge_per_mille)) return least + 33'000 + random.below(load.largest);
  if (random.per_mille(load.large_per_mille)) return least + random.below(load.largest);
  if (random.per_mille(load.bulky_per_mille)) return least + 4'000 + random.below(4'000);
  return least + random.below(random.one_in(4) ? 600 : 40);
}

bolide::Nanos duration(Random& random, const Load& load) {
  const auto range = static_cast<uint64_t>(load.longest - load.shortest + 1);
  const auto length = load.shortest + static_cast<bolide::Nanos>(random.below(range));
  return random.per_mille(load.long_per_mille) ? 100 * length : length;
}

Op submit_op(const TaskSpec& parent, const Load& load, Random& random, Slots& slots) {
  Op op{};
  op.kind = Op::Kind::kSubmit;
  op.dependencies = slots.some(random, 2);
  op.contained = slots.some(random, 2);
  op.max_retries = random.one_in(4) ? -1 : static_cast<int32_t>(random.below(4));
  op.raises =
      random.per_mille(load.raises_per_mille) ? 1 + static_cast<uint32_t>(random.below(2)) : 0;
  op.task.seed = random.next();
  op.task.depth = parent.depth - 1;
  op.task.returns = random.one_in(6) ? static_cast<uint32_t>(random.below(4)) : 1;
  op.task.dependencies = static_cast<uint32_t>(op.dependencies.size());
  op.task.contained = static_cast<uint32_t>(op.contained.size());
  op.task.cls = random.below(load.classes);
  op.size = sizeof(Arguments) + (random.per_mille(load.huge_per_mille) ? 40'000 : random.below(80));
  if (random.per_mille(load.bulky_per_mille)) op.size += 5'000 + random.below(20'000);
  slots.add(op.task.returns);
  return op;
}

}  // namespace

Program make_program(const TaskSpec& task, const Load& load) {
  Random random(task.seed);
  Program program;
  Slots slots(task.contained);
  const bool may_wait = task.cls != kDisk;
  for (uint32_t i = 0; i < task.dependencies; ++i) {
    program.unpack.push_back(may_wait && random.one_in(2));
  }
  const uint64_t ops = random.below(load.most_ops + 1);
  for (uint64_t i = 0; i < ops; ++i) {
    Op op{};
    const uint64_t kind = random.below(10);
    if (random.per_mille(load.cancels_per_mille) && !slots.empty()) {
      op.kind = Op::Kind::kCancel;
      op.slot = slots.any(random);
      op.force = random.one_in(3);
      op.recursive = random.one_in(2);
    } else if (kind < 3 && task.depth > 0) {
      op = submit_op(task, load, random, slots);
    } else if (kind == 3) {
      op.kind = Op::Kind::kPut;
      op.contained = slots.some(random, 2);
      op.size = size_of_value(random, load, op.contained.size());
      slots.add(1);
    } else if (kind < 7 && may_wait && !slots.empty()) {
      op.kind = random.one_in(4) ? Op::Kind::kWait : Op::Kind::kGet;
      if (random.one_in(8)) op.kind = Op::Kind::kAside;
      op.slot = slots.any(random);
      op.unpack = random.one_in(2);
      op.duration = static_cast<bolide::Nanos>(random.below(500'000));
    } else if (kind == 7 && !slots.empty()) {
      op.kind = random.one_in(3) ? Op::Kind::kKeep : Op::Kind::kDrop;
      op.slot = slots.take(random);
    } else if (kind == 8) {
      op.kind = Op::Kind::kForget;
    } else {
      op.kind = random.per_mille(load.bulky_per_mille / 4) ? Op::Kind::kBurst : Op::Kind::kCompute;
      op.duration = duration(random, load);
    }
    program.ops.push_back(std::move(op));
  }
  program.leaves = random.per_mille(load.leaves_per_mille);
  Op last{};
  last.kind = Op::Kind::kCompute;
  last.duration = duration(random, load);
  program.ops.push_back(std::move(last));
  for (uint32_t i = 0; i < task.returns; ++i) {
    Return value{};
    value.contained = slots.some(random, random.one_in(3) ? 2 : 0);
    value.size = size_of_value(random, load, value.contained.size());
    program.returns.push_back(std::move(value));
  }
  return program;
}

std::vector<Known> evaluate(const TaskSpec& task, const Load& load,
                            std::span<const Known> dependencies, std::span<const Known> contained) {
  const Program program = make_program(task, load);
  std::vector<Known> slots(contained.begin(), contained.end());
  const auto pick = [&](const std::vector<uint32_t>& chosen) {
    std::vector<Known> values;
    for (uint32_t slot : chosen) values.push_back(slots[slot]);
    return values;
  };
  uint64_t digest = first_digest(task);
  for (size_t i = 0; i < dependencies.size(); ++i) {
    digest = mix(digest, dependencies[i]->digest);
    if (program.unpack[i] && !dependencies[i]->contained.empty()) {
      digest = mix(digest, dependencies[i]->contained[0]->digest);
    }
  }
  for (size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    switch (op.kind) {
      case Op::Kind::kSubmit: {
        const auto returns = evaluate(op.task, load, pick(op.dependencies), pick(op.contained));
        slots.insert(slots.end(), returns.begin(), returns.end());
        break;
      }
      case Op::Kind::kPut: {
        auto inner = pick(op.contained);
        const uint64_t put = put_digest(task.seed, i, inner);
        slots.push_back(std::make_shared<Value>(Value{put, std::move(inner)}));
        break;
      }
      case Op::Kind::kGet:
        digest = mix(digest, slots[op.slot]->digest);
        if (op.unpack && !slots[op.slot]->contained.empty()) {
          digest = mix(digest, slots[op.slot]->contained[0]->digest);
        }
        break;
      default:
        break;
    }
  }
  std::vector<Known> returns;
  for (size_t i = 0; i < program.returns.size(); ++i) {
    auto inner = pick(program.returns[i].contained);
    const uint64_t value = return_digest(digest, i, inner);
    returns.push_back(std::make_shared<Value>(Value{value, std::move(inner)}));
  }
  return returns;
}

// ---- bytes

namespace {
std::byte filler(uint64_t digest, uint64_t at) {
  return static_cast<std::byte>((digest >> (at % 8 * 8)) ^ at);
}
}  // namespace

void write_value(std::byte* to, uint64_t size, uint64_t digest, std::span<const uint64_t> ids) {
  const uint64_t head[2] = {digest, ids.size()};
  std::memcpy(to, head, sizeof head);
  if (!ids.empty()) std::memcpy(to + sizeof head, ids.data(), ids.size_bytes());
  for (uint64_t at = value_size(ids.size()); at < size; ++at) to[at] = filler(digest, at);
}

bool read_value(const std::byte* from, uint64_t size, uint64_t* digest,
                std::vector<uint64_t>* ids) {
  uint64_t head[2];
  if (size < sizeof head) return false;
  std::memcpy(head, from, sizeof head);
  if (head[1] > (size - sizeof head) / 8) return false;
  *digest = head[0];
  ids->resize(head[1]);
  if (!ids->empty()) std::memcpy(ids->data(), from + sizeof head, 8 * ids->size());
  for (uint64_t at = value_size(ids->size()); at < size; ++at) {
    if (from[at] != filler(*digest, at)) return false;
  }
  return true;
}

}  // namespace simulator

// task_record: a task as the node keeps it, from submission to its result. One allocation: the
// scheduler's part, the wire header, and the body exactly as it goes into a worker's ring:
// dependency ids, contained ids, encoded arguments, name; each padded to 8 bytes.
#pragma once

#include <cstring>
#include <new>
#include <span>
#include <string_view>

#include "base/block_pool.h"
#include "ipc/cursor.h"
#include "ipc/records.h"
#include "sched/task.h"
#include "store/object_table.h"

namespace bolide::node {

struct Task : sched::Task {
  store::ObjectEntry* result = nullptr;  // of the first return; nullptr when there is none
  store::ObjectEntry* function = nullptr;
  uint64_t parent = 0;     // id of the task that submitted it; 0: the driver did
  uint32_t stream_limit = 0;  // of one that yields: items that it may be ahead; 0: no limit
  bool cancelled = false;  // it had begun by then; it is not run again
  bool killed = false;     // its worker was killed for that
  bool ungrouped = false;  // its worker was killed because its placement group was removed
  uint8_t starved = 0;     // times that it was killed because the machine ran low on memory
  bool recursive = false;  // what it starts before it is interrupted is cancelled too
  uint8_t size_class = 0;  // of its block in the pool
  ipc::TaskHeader header{};  // last: the body follows it, as in a ring

  static uint64_t body_size(const ipc::TaskHeader& header) {
    return (uint64_t{header.dependencies} + header.contained) * 8 +
           ipc::align8(header.argument_bytes) + ipc::align8(header.name_bytes);
  }

  // make allocates a task with room for the body that the header describes.
  static Task* make(BlockPool& pool, const ipc::TaskHeader& header) {
    const uint64_t bytes = sizeof(Task) + body_size(header);
    auto* task = new (pool.take(bytes)) Task;
    task->size_class = BlockPool::class_of(bytes);
    task->header = header;
    return task;
  }
  static void destroy(BlockPool& pool, Task* task) {
    const uint8_t size_class = task->size_class;
    task->~Task();
    pool.give(task, size_class);
  }

  // may_retry: an attempt is left.
  bool may_retry() const {
    return header.max_retries < 0 || header.attempt < static_cast<uint32_t>(header.max_retries);
  }

  std::byte* body() { return reinterpret_cast<std::byte*>(&header + 1); }
  uint64_t body_bytes() const { return body_size(header); }

  std::span<const uint64_t> dependencies() {
    return {reinterpret_cast<const uint64_t*>(body()), header.dependencies};
  }
  std::span<const uint64_t> contained() {
    return {reinterpret_cast<const uint64_t*>(body()) + header.dependencies, header.contained};
  }
  std::string_view name() {
    const std::byte* at = body() + (uint64_t{header.dependencies} + header.contained) * 8 +
                          ipc::align8(header.argument_bytes);
    return {reinterpret_cast<const char*>(at), header.name_bytes};
  }
};
}  // namespace bolide::node

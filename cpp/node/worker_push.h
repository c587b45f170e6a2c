// worker_push: how a worker's client puts a record into its ring, or, when it is too large,
// into the store. Included by the two sources of WorkerClient only. The client's lock is held.
#pragma once

#include "node/worker_client.h"

namespace bolide::node {

template <class Fill>
void WorkerClient::push(ipc::RecordType type, uint64_t size, Fill fill) {
  fill(room(size, static_cast<uint16_t>(type)));
  replies_.commit();
}

template <class Fill>
void WorkerClient::push_sized(ipc::RecordType type, uint64_t size, MutexLock& lock, Fill fill) {
  if (size <= replies_.largest_record()) {
    push(type, size, fill);
    return;
  }
  store::Slot slot;
  const Status room_found = reserve_locked(size, false, true, INT64_MAX, lock, &slot);
  BOLIDE_CHECK(room_found.is_ok(), "the node gave no memory for a control record");
  fill(slot.data);
  const ipc::JumboRecord jumbo{slot.where, size, static_cast<uint16_t>(type), 0, 0};
  push(ipc::RecordType::kJumbo, sizeof jumbo,
       [&](std::byte* to) { ipc::Writer(to).put(jumbo); });
}

}  // namespace bolide::node

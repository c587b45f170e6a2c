// hot_calls: the core's interface in the plain types that Cython can name: pointers and lengths
// for spans, a thread's last error for Result. Inline, so that the hot path pays nothing for it.
//
// Knows no Python. Included by the generated _hot.cpp only.
#pragma once

#include <unistd.h>

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "node/client.h"
#include "node/node.h"
#include "node/worker_client.h"
#include "store/held_memory.h"

namespace bolide::hot {

using node::Client;
using node::ObjectEntry;

struct LastError {
  Code code = Code::kOk;
  std::string message;
};
inline thread_local LastError t_last_error;
inline thread_local void* t_encoder = nullptr;  // the encoder whose pickler runs in this thread

inline store::HeldMemory g_held;  // of this process

inline Code last_code() { return t_last_error.code; }
inline const std::string& last_message() { return t_last_error.message; }
inline void** encoder_slot() { return &t_encoder; }

inline bool note(const Status& status) {
  t_last_error.code = status.code();
  if (status.is_ok()) return true;
  t_last_error.message = status.message();
  return false;
}

template <class T>
T* pointer_or_note(Result<T*> result) {
  if (result.is_ok()) {
    if (result.value() == nullptr) t_last_error.code = Code::kOk;  // nothing is all there is
    return result.value();
  }
  note(result.status());
  return nullptr;
}

inline const std::byte* bytes(const uint8_t* p) { return reinterpret_cast<const std::byte*>(p); }

// Adapts a SubmitRequest whose byte pointers Cython declares as uint8_t.
inline ObjectEntry* submit(Client* client, const node::SubmitRequest& request) {
  return pointer_or_note(client->submit(request));
}

inline ObjectEntry* put_inline(Client* client, const uint8_t* data, uint64_t size,
                               const std::vector<uint64_t>& contained, uint8_t flags) {
  return pointer_or_note(client->put_inline(data, size, contained, flags));
}

// At interpreter exit a daemon thread that wakes up must not touch the interpreter any more:
// once this is set, threads that come back from a wait or a copy stay there for ever and end with
// the process. The main thread, which exits, is never parked.
inline std::atomic<bool> g_parked{false};
inline void park_waiting_threads() { g_parked.store(true, std::memory_order_release); }
inline void park_if_exiting() {
  while (g_parked.load(std::memory_order_acquire) && ::gettid() != ::getpid()) ::pause();
}

inline bool reserve(Client* client, uint64_t size, bool alone, int64_t since, int64_t deadline,
                    store::Slot* slot) {
  auto result = client->reserve(size, alone, since, deadline);
  park_if_exiting();
  if (!result.is_ok()) return note(result.status());
  *slot = result.value();
  return true;
}

// leave: what stays at the slot's address, for the caller to delete; nullptr: see last_message.
inline os::Mapping* leave(Client* client, const store::Slot& slot) {
  auto result = client->leave(slot);
  if (result.is_ok()) return new os::Mapping(result.take());
  note(result.status());
  return nullptr;
}

// private_copy and move_copy: what an array that is being written becomes in a forked child.
inline os::Mapping* private_copy(const store::Slot& slot) {
  auto copy = os::Mapping::private_copy(slot.data, slot.where.size);
  return copy.is_ok() ? new os::Mapping(copy.take()) : nullptr;
}

inline bool move_copy(os::Mapping* copy, const store::Slot& slot) {
  return copy->move_to(slot.data).is_ok();
}

inline bool fetch(Client* client, ObjectEntry* entry, int64_t until) {
  const Status status = client->fetch(entry, until);
  park_if_exiting();
  return note(status);
}

inline ObjectEntry* put_stored(Client* client, const store::Slot& slot,
                               const std::vector<uint64_t>& contained, uint8_t flags,
                               bool pinned) {
  return pointer_or_note(client->put_stored(slot, contained, flags, pinned));
}

// promise and keep_*: for engines; only for the driver's client, which is the node.
inline ObjectEntry* promise(Client* client) {
  return pointer_or_note(static_cast<node::Node*>(client)->promise());
}

inline bool keep_inline(Client* client, ObjectEntry* promised, const uint8_t* data, uint64_t size,
                        const std::vector<uint64_t>& contained, uint8_t flags) {
  return note(
      static_cast<node::Node*>(client)->keep_inline(promised, data, size, contained, flags));
}

inline bool keep_stored(Client* client, ObjectEntry* promised, const store::Slot& slot,
                        const std::vector<uint64_t>& contained, uint8_t flags) {
  return note(static_cast<node::Node*>(client)->keep_stored(promised, slot, contained, flags));
}

using Quantities = std::vector<std::pair<std::string, int64_t>>;
// Where a scheduling class is: the key and description of its environment, its placement group.
inline bool define_class(Client* client, uint64_t key, const Quantities& need,
                         uint64_t environment, const std::string& description, uint64_t group,
                         int32_t bundle) {
  return note(client->define_class(key, need, nullptr, {environment, description},
                                   {group, bundle}));
}

inline bool define_actor_class(Client* client, uint64_t key, const Quantities& need,
                               const Quantities& kept, uint64_t environment,
                               const std::string& description, uint64_t group, int32_t bundle) {
  const Client::Quantities keeps = kept;
  return note(client->define_class(key, need, &keeps, {environment, description},
                                   {group, bundle}));
}

inline bool remove_group(Client* client, uint64_t group) {
  return note(client->remove_group(ObjectId{group}));
}

inline bool is_actor_call(Client* client, ObjectEntry* entry) {
  return client->is_actor_call(entry);
}

inline bool kill_actor(Client* client, uint64_t actor, bool no_restart) {
  return note(client->kill_actor(ObjectId{actor}, no_restart));
}

inline ObjectEntry* query(Client* client, uint32_t kind, const char* text, size_t size) {
  return pointer_or_note(client->query(static_cast<ipc::QueryKind>(kind), {text, size}));
}

inline void leave(node::WorkerClient* client, uint32_t kind, const char* text, size_t size) {
  client->leave(static_cast<ipc::ExitKind>(kind), {text, size});
}

inline node::WaitResult await_credit(node::WorkerClient* client, uint64_t sequence,
                                     uint64_t index, int64_t until, node::WaitMode* mode) {
  return client->await_credit(sequence, index, until, *mode);
}

inline void cancel(Client* client, ObjectEntry* entry, bool force, bool recursive) {
  client->cancel(entry, force, recursive);
}

inline void ask(Client* client, ObjectEntry** entries, size_t n, bool value) {
  client->ask({entries, n}, value);
}

inline node::WaitResult wait_turn(Client* client, ObjectEntry** entries, size_t n, uint32_t needed,
                                  int64_t until, node::WaitMode* mode) {
  const node::WaitResult result = client->wait({entries, n}, needed, until, *mode);
  park_if_exiting();
  return result;
}

// spin: with the GIL held, so it is short; only for the driver's client, which is the node.
inline bool spin(Client* client, ObjectEntry* entry) {
  return static_cast<node::Node*>(client)->spin(entry);
}

inline void end_wait(Client* client, node::WaitMode* mode) { client->end_wait(*mode); }

inline void add_inline(node::WorkerClient* client, const uint8_t* data, uint64_t size,
                       const std::vector<uint64_t>& contained, uint8_t flags) {
  client->add_inline(data, size, contained, flags);
}

inline void add_stored(node::WorkerClient* client, const store::Slot& slot,
                       const std::vector<uint64_t>& contained, uint8_t flags) {
  client->add_stored(slot, contained, flags);
}

inline void pin_argument(node::WorkerClient* client, ObjectEntry* entry, const Location& where) {
  client->pin_argument(entry, where);
}

inline void expect_argument(node::WorkerClient* client, ObjectEntry* entry, uint64_t size) {
  client->expect_argument(entry, size);
}

inline void write_output(node::WorkerClient* client, uint32_t stream, const char* text,
                         size_t size) {
  client->write_output(stream, {text, size});
}

inline void trace(node::WorkerClient* client, uint64_t task, int64_t began, int64_t ended,
                  const char* name, size_t size) {
  client->trace({task, static_cast<uint64_t>(began), static_cast<uint64_t>(ended), size},
                {name, size});
}

inline void note_site(Client* client, ObjectEntry* first, uint32_t returns, const char* text,
                      size_t size) {
  client->note_site(first, returns, {text, size});
}

inline void copy(Client* client, uint8_t* to, const uint8_t* from, uint64_t size, bool fresh) {
  auto* const target = reinterpret_cast<std::byte*>(to);
  if (fresh) {
    client->crew().copy_to_fresh(target, bytes(from), size);
  } else {
    client->crew().copy(target, bytes(from), size);
  }
  park_if_exiting();
}

inline bool equal(Client* client, const uint8_t* a, const uint8_t* b, uint64_t size) {
  const bool same = client->crew().equal(bytes(a), bytes(b), size);
  park_if_exiting();
  return same;
}

inline bool watch(Client* client, ObjectEntry* entry,
                  std::shared_ptr<node::CompletionQueue> queue, uint64_t token) {
  return note(client->watch(entry, std::move(queue), token));
}

// The driver's client is the node itself.
inline bool has_output(Client* client) { return static_cast<node::Node*>(client)->has_output(); }

inline bool watch_service(Client* client, ObjectEntry* entry, uint64_t token) {
  return watch(client, entry, static_cast<node::Node*>(client)->service(), token);
}

inline std::shared_ptr<node::CompletionQueue> make_queue() {
  auto queue = node::CompletionQueue::create();
  if (queue.is_ok()) return queue.take();
  note(queue.status());
  return nullptr;
}

}  // namespace bolide::hot

#include "fuzz/stage.h"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/actor_value.h"

namespace fuzz {

using namespace bolide;
using node::Node;
using node::TaskView;
using node::WaitMode;
using node::WorkerClient;
using store::ObjectEntry;
using Next = WorkerClient::Next;

namespace {

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "it must be that %s\n", what);
  std::abort();
}

simulator::MachineSettings settings() {
  simulator::MachineSettings settings;
  settings.switch_one_in = 8;
  return settings;
}

// One of the driver's tasks; the arguments say which.
node::SubmitRequest request(const uint64_t& which, uint64_t function) {
  node::SubmitRequest request;
  request.function = function;
  request.arguments = reinterpret_cast<const std::byte*>(&which);
  request.argument_bytes = sizeof which;
  return request;
}

// ends waits for a task in the driver; false: it has not ended after a long time.
bool ends(Node& node, ObjectEntry* entry) {
  WaitMode mode;
  const Nanos until = now() + 100 * kSecond;
  while (!entry->ready() && now() < until) {
    static_cast<void>(node.wait(std::span(&entry, 1), 1, until, mode));
  }
  return entry->ready();
}

}  // namespace

Stage::Stage(Kind kind, Hostility hostility)
    : kind_(kind), hostility_(std::move(hostility)), machine_(settings(), 1) {
  host_.worker_main = [this](uint32_t worker, WorkerClient::Descriptors descriptors) {
    worker_main(worker, std::move(descriptors));
  };
  host_.on_start = [this](const os::Fd& socket) {
    if (!template_socket_.valid()) template_socket_ = socket.dup().take();
  };
  simulator::template_host = &host_;
  machine_.on_end = [this](simulator::Process& process) {
    for (simulator::Template* each : host_.living) each->ended(process);
  };
}

Stage::~Stage() { simulator::template_host = nullptr; }

void Stage::play() {
  try {
    machine_.run([this] {
      node::NodeOptions options;
      options.num_cpus = 1;
      options.object_store_memory = 64 << 20;
      options.max_spin = 0;
      options.command.argv = {"template"};
      options.settings = "settings";
      auto node = Node::start(options).take();
      drive(*node);
      node->stop();
    });
  } catch (const simulator::Failure& failure) {
    std::fprintf(stderr, "%s\n%s", failure.text.c_str(), machine_.describe().c_str());
    std::abort();
  }
}

void Stage::drive(Node& node) {
  ObjectEntry* function = node.put_inline("code", 4, {}, ipc::kFunction).take();
  const uint64_t code = function->id.value;
  ObjectEntry* part = node.put_inline("value", 5, {}, 0).take();
  std::vector<ObjectEntry*> calls;
  uint64_t which = 0;
  ObjectEntry* actor = nullptr;
  if (kind_ == Kind::kActor) {
    const std::pair<std::string, int64_t> cpu{"CPU", 10'000};
    const node::Client::Quantities need(&cpu, 1);
    const node::Client::Quantities kept;
    must(node.define_class(7, need, &kept, {}, {}).is_ok(), "a class of constructors is known");
    const std::string value = support::actor_value({-1, -1, node::kInOrder, 1, 0, 1}, {});
    actor = node.put_inline(value.data(), value.size(), std::span(&code, 1), ipc::kActor).take();
    node::SubmitRequest creation = request(which, actor->id.value);
    creation.flags = ipc::kActorCreation;
    creation.scheduling_class = 7;
    creation.returns = 0;
    must(node.submit(creation).is_ok(), "an actor is made");
  }
  const auto call = [&](uint32_t flags, uint32_t returns, int retries, bool depends) {
    node::SubmitRequest one = request(++which, actor != nullptr ? actor->id.value : code);
    one.flags = flags;
    if (actor != nullptr) one.flags |= ipc::kActorCall;
    one.returns = returns;
    one.max_retries = retries;
    const uint64_t dependency = part->id.value;
    one.dependencies = &dependency;
    one.dependency_count = depends ? 1 : 0;
    auto made = node.submit(one);
    must(made.is_ok(), "a call is taken");
    ObjectEntry* first = made.take();
    calls.push_back(first);
    for (uint32_t i = 1; i < returns + ((flags & ipc::kStreaming) != 0 ? 1 : 0); ++i) {
      calls.push_back(node.find(return_of(first->id, i)));
    }
  };
  for (uint32_t i = 0; i < kWarmUps; ++i) call(0, 1, 3, false);
  call(0, 1, 3, false);  // this one and those behind it are there when the worker turns hostile
  call(0, 1, 3, true);
  call(0, 3, -1, false);
  call(ipc::kRetryExceptions, 1, 3, false);
  call(ipc::kStreaming, 1, 3, false);
  if (meanwhile) meanwhile();
  for (ObjectEntry* entry : calls) {
    if (entry->value_flags == ipc::kStream) continue;
    if (ends(node, entry)) continue;
    must(node.stats().actors > (actor != nullptr ? 1u : 0u), "every task ends");
    return;  // the worker has made an actor that outlives it, and that has the CPU
  }
  must(node.audit(), "the tables are whole");
  for (ObjectEntry* entry : calls) node.release(entry);
  if (actor != nullptr) node.release(actor);

  // The usual call, of a function of its own: the hostile worker may have cancelled or changed
  // what it knew.
  ObjectEntry* fresh = node.put_inline("code", 4, {}, ipc::kFunction).take();
  const uint64_t last = UINT64_MAX;
  ObjectEntry* entry = node.submit(request(last, fresh->id.value)).take();
  if (!ends(node, entry)) {
    must(node.stats().actors != 0, "a later task ends");
    return;
  }
  must((entry->value_flags & ipc::kError) == 0, "a later task gives its result");
  for (ObjectEntry* each : {entry, fresh, function, part}) node.release(each);
  machine_.sleep(kSecond);
  must(node.audit(), "the tables are whole at the end");
}

void Stage::worker_main(uint32_t worker, WorkerClient::Descriptors descriptors) {
  if (worker == 1) {
    hostile_main(std::move(descriptors));
    return;
  }
  auto client = WorkerClient::attach(std::move(descriptors)).take();
  for (;;) {
    TaskView task;
    bool waited = false;
    const Next next = client->next_task(&task, now() + kSecond, &waited);
    if (next == Next::kShutdown) return;
    if (next == Next::kTask) execute(*client, task);
    static_cast<void>(client->forgotten());  // or it would be told of them again and again
  }
}

void Stage::hostile_main(WorkerClient::Descriptors descriptors) {
  auto memory =
      os::Mapping::map(descriptors.link, ipc::kLinkSize, os::Access::kReadWrite).take();
  auto client = WorkerClient::attach(std::move(descriptors)).take();
  auto slot = client->reserve(20'000, false, now(), INT64_MAX);
  if (!slot.is_ok()) return;  // the driver has ended
  if (!client->put_stored(*slot, {}, 0, false).is_ok()) return;
  std::byte* bytes = slot->data;
  for (;;) {
    TaskView task;
    bool waited = false;
    const Next next = client->next_task(&task, now() + kSecond, &waited);
    if (next == Next::kShutdown) return;
    if (next != Next::kTask) continue;
    uint64_t which;
    std::memcpy(&which, task.arguments, sizeof which);
    if (which <= kWarmUps) {
      execute(*client, task);
      continue;
    }
    for (uint32_t i = 0; i < task.header.dependencies; ++i) {
      client->acquire(ObjectId{task.dependencies[i]});
    }
    client->task_taken();
    hostility_(*client, memory.data(), bytes);
    machine_.sleep(10 * kMillisecond);  // the node reads what it was sent, and kills it or does not
    break;
  }
}

void Stage::execute(WorkerClient& worker, const TaskView& task) {
  machine_.end_if_dead();
  const ipc::TaskHeader header = task.header;
  if ((header.flags & ipc::kActorCreation) != 0) worker.become_actor();
  const Nanos began = now();
  worker.task_taken();
  worker.begin_result(header.sequence, header.returns, 0);
  for (uint32_t i = 0; i < header.returns; ++i) worker.add_inline("done", 4, {}, 0);
  worker.end_result(now() - began);
}

}  // namespace fuzz

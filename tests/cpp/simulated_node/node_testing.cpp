#include "simulated_node/node_testing.h"

#include <cstring>

namespace testing {

using namespace bolide;
using node::TaskView;
using node::WaitMode;
using node::WaitResult;
using Next = WorkerClient::Next;

namespace {

simulator::MachineSettings settings() {
  simulator::MachineSettings settings;
  settings.switch_one_in = 2;
  return settings;
}

REGISTER_EXCEPTION_TRANSLATOR(const simulator::Failure& failure) {
  return failure.text.c_str();
}

}  // namespace

Stage::Stage(const Options& options) : options_(options), machine_(settings(), options.seed) {
  host_.worker_main = [this](uint32_t, WorkerClient::Descriptors descriptors) {
    worker_main(std::move(descriptors));
  };
  simulator::template_host = &host_;
  machine_.on_end = [this](simulator::Process& process) {
    for (simulator::Template* each : host_.living) each->ended(process);
  };
}

Stage::~Stage() {
  simulator::template_host = nullptr;
}

void Stage::play(const std::function<void(Node&)>& driver) {
  machine_.run([&] {
    node::NodeOptions options;
    options.num_cpus = options_.cpus;
    options.object_store_memory = 64 << 20;
    options.max_spin = 0;
    options.max_blocked_per_core = options_.max_blocked_per_core;
    options.command.argv = {"template"};
    options.settings = "settings";
    auto node = Node::start(options).take();
    function_ = node->put_inline("code", 4, {}, ipc::kFunction).take();
    function_id_ = function_->id.value;
    driver(*node);
    node->release(function_);
    node->stop();
  });
}

ObjectEntry* Stage::call(node::Client& client, Work work, const Arguments& given) {
  works_.push_back(std::move(work));
  const uint64_t index = works_.size() - 1;
  std::vector<std::byte> bytes(std::max(given.bytes, sizeof index));
  std::memcpy(bytes.data(), &index, sizeof index);
  std::vector<uint64_t> dependencies;
  for (const ObjectEntry* entry : given.dependencies) dependencies.push_back(entry->id.value);
  node::SubmitRequest request;
  request.function = function_id_;
  request.dependencies = dependencies.data();
  request.dependency_count = static_cast<uint32_t>(dependencies.size());
  request.arguments = bytes.data();
  request.argument_bytes = static_cast<uint32_t>(bytes.size());
  if (given.constructs != nullptr) {
    request.function = given.constructs->id.value;
    request.scheduling_class = kConstructors;
    request.flags = ipc::kActorCreation;
    request.returns = 0;
  }
  return client.submit(request).take();
}

bool Stage::get(Node& node, ObjectEntry* entry) {
  WaitMode mode;
  if (!entry->ready()) {
    CHECK(node.wait(std::span(&entry, 1), 1, INT64_MAX, mode) == WaitResult::kReady);
  }
  return (entry->value_flags & ipc::kError) == 0;
}

bool Stage::get(WorkerClient& worker, ObjectEntry* entry) {
  worker.ask(std::span(&entry, 1), true);
  WaitMode mode;
  mode.runs_task = mode.can_inline = true;
  while (worker.wait(std::span(&entry, 1), 1, INT64_MAX, mode) == WaitResult::kRunTask) {
    TaskView task;
    if (worker.inline_task(&task) == Next::kTask) execute(worker, task);
  }
  worker.end_wait(mode);
  return (entry->value_flags & ipc::kError) == 0;
}

void Stage::worker_main(WorkerClient::Descriptors descriptors) {
  auto worker = WorkerClient::attach(std::move(descriptors)).take();
  if (options_.before_tasks) options_.before_tasks(*worker);
  for (;;) {
    TaskView task;
    bool waited = false;
    const Next next = worker->next_task(&task, now() + kSecond, &waited);
    if (next == Next::kShutdown) return;
    if (next == Next::kTask) execute(*worker, task);
  }
}

void Stage::execute(WorkerClient& worker, const TaskView& task) {
  machine_.end_if_dead();
  const uint64_t sequence = task.header.sequence;
  const uint32_t returns = task.header.returns;
  if ((task.header.flags & ipc::kActorCreation) != 0) worker.become_actor();
  uint64_t index;
  std::memcpy(&index, task.arguments, sizeof index);
  const Nanos began = now();
  worker.task_taken();
  works_[index](worker);
  const Nanos duration = now() - began;
  worker.begin_result(sequence, returns, 0);
  for (uint32_t i = 0; i < returns; ++i) worker.add_inline("done", 4, {}, 0);
  worker.end_result(duration);
}

}  // namespace testing

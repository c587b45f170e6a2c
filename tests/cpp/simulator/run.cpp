#include "simulator/run.h"

#include <dirent.h>

#include <algorithm>

#include "simulated/os_testing.h"

namespace simulator {

using namespace bolide;

namespace {

constexpr Nanos kIdleWithin = 60 * kSecond;

size_t open_descriptors() {
  size_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

Run::Run(const Settings& settings)
    : settings_(settings),
      machine_(settings_.machine, mix(settings_.seed, 5)),
      oracle_(settings_.load),
      context_{machine_, oracle_, settings_.load} {
  host_.settings = settings_.processes;
  host_.worker_main = [this](uint32_t id, node::WorkerClient::Descriptors descriptors) {
    worker_main(id, std::move(descriptors));
  };
  template_host = &host_;
  oracle_.starts_may_fail =
      settings_.machine.blocked_sends_per_mille > 0 || host_.settings.fork_fails_per_mille > 0 ||
      host_.settings.starts_die_per_mille > 0 || host_.settings.dies_per_mille > 0;
  oracle_.memory_may_be_short =
      settings_.machine.memory_short_every > 0 || settings_.node.object_store_memory <= 8 << 20;
  oracle_.may_be_shut_down = settings_.stop_after > 0;
  machine_.on_kill = [this](Process& process) {
    const auto found = workers_.find(process.pid);
    if (found == workers_.end() || inspector_ == nullptr) return;
    Machine::Calm calm(machine_);
    inspector_->account_death(*found->second, oracle_);
  };
  machine_.on_end = [this](Process& process) {
    for (Template* each : host_.living) each->ended(process);
  };
  machine_.on_step = [this] {
    if (inspector_ != nullptr) inspector_->check_step();
  };
  machine_.on_quiet = [this](Nanos next) {
    if (inspector_ != nullptr) inspector_->check_quiet(workers(), next);
  };
}

Run::~Run() {
  template_host = nullptr;
}

std::vector<SimWorker*> Run::workers() const {
  std::vector<SimWorker*> out;
  for (const auto& [pid, worker] : workers_) out.push_back(worker);
  return out;
}

void Run::worker_main(uint32_t id, node::WorkerClient::Descriptors descriptors) {
  auto client = node::WorkerClient::attach(std::move(descriptors));
  if (!client.is_ok()) fail("worker %u: %s", id, client.status().message().c_str());
  ++started_;
  SimWorker worker(context_, client.take(), id);
  struct Living {
    std::map<int, SimWorker*>& all;
    int pid;
    ~Living() { all.erase(pid); }
  } living{workers_, machine_.process().pid};
  workers_[living.pid] = &worker;
  worker.loop();
  machine_.thread().unwinding = true;  // it exits: no destructor of a real one takes a step
}

Summary Run::run() {
  const size_t descriptors = open_descriptors();
  machine_.run([this] { program(); });
  if (mapped_memories() != 0) fail("%zu shared memories are mapped still", mapped_memories());
  Summary summary;
  summary.tasks = oracle_.tasks();
  summary.workers = started_;
  summary.deaths = oracle_.deaths();
  summary.checked = oracle_.checked();
  summary.errors = oracle_.errors();
  summary.steps = machine_.steps();
  summary.time = machine_.time() - kSecond;
  size_t of_the_machine = machine_.processes().size();
  if (open_descriptors() != descriptors + of_the_machine) {
    fail("%zu descriptors are open, %zu were before", open_descriptors() - of_the_machine,
         descriptors);
  }
  return summary;
}

// program is the main thread of the driver's process.
void Run::program() {
  auto started = node::Node::start(settings_.node);
  if (!started.is_ok()) fail("no start: %s", started.status().message().c_str());
  node_ = started.take();
  inspector_ = std::make_unique<node::Inspector>(*node_, machine_);
  const auto cpus = static_cast<int64_t>(settings_.node.num_cpus * sched::kUnit);
  const std::pair<uint64_t, std::vector<std::pair<std::string, int64_t>>> classes[] = {
      {kHalf, {{"CPU", sched::kUnit / 2}}},
      {kNoCpu, {}},
      {kDisk, {{"CPU", sched::kUnit / 4}, {"disk", sched::kUnit}}},
      {kAll, {{"CPU", cpus}}}};
  for (const auto& [key, need] : classes) {
    if (!node_->define_class(key, need, nullptr, {}, {}).is_ok()) fail("no class");
  }
  drive();
  if (settings_.stop_after == 0) {
    become_idle();
    {
      Machine::Calm calm(machine_);
      inspector_->check_idle(workers());
    }
    end_workers();
    Machine::Calm calm(machine_);
    inspector_->check_end();
    oracle_.at_end();
  }
  node_->stop();
  if (inspector_->objects() != 0)
    fail("%zu objects are left after the stop", inspector_->objects());
  inspector_.reset();
  node_.reset();
}

// drive lets the driver's threads do what they have to do.
void Run::drive() {
  Service service(context_, *node_, settings_.stop_after > 0);
  std::vector<const Thread*> threads;
  const Thread& serving =
      machine_.start_thread(machine_.process(), "service", [&] { service.run(); });
  for (uint64_t i = 0; i < settings_.threads; ++i) {
    threads.push_back(&machine_.start_thread(
        machine_.process(), "thread " + std::to_string(i + 1), [this, i, &service] {
          Driver(context_, settings_.plan, *node_, service, mix(settings_.seed, 10 + i)).run();
        }));
  }
  if (settings_.stop_after > 0) {
    machine_.sleep(settings_.stop_after);
    node_->stop();
  }
  for (const Thread* thread : threads) machine_.join(*thread);
  service.stop();
  machine_.join(serving);
}

// become_idle waits until what is left has run, though nobody asks for it.
void Run::become_idle() {
  const Nanos limit = machine_.time() + kIdleWithin;
  const auto idle = [this] {
    Machine::Calm calm(machine_);
    const auto all = workers();
    return inspector_->is_idle() && std::all_of(all.begin(), all.end(), [&](SimWorker* worker) {
             return machine_.asleep(worker->process());
           });
  };
  for (int turns = 0; turns < 2;) {
    machine_.sleep(20 * kMillisecond);
    node_->stats();  // empties the list of what was released
    turns = idle() ? turns + 1 : 0;
    if (machine_.time() > limit) fail("the node does not become idle");
  }
}

// end_workers kills all of them and waits until the node has buried them.
void Run::end_workers() {
  for (const auto& process : machine_.processes()) {
    if (process->may_be_killed) machine_.kill(*process, 9);
  }
  const Nanos limit = machine_.time() + kIdleWithin;
  while (inspector_->workers() > 0) {
    machine_.sleep(kMillisecond);
    if (machine_.time() > limit) fail("the node does not see that its workers are gone");
  }
}

std::string Run::describe() {
  std::string text = machine_.describe();
  if (inspector_ != nullptr) text += inspector_->describe();
  for (const auto& [pid, worker] : workers_) {
    text += "  worker " + std::to_string(worker->id()) + " runs";
    for (const auto& each : worker->running()) text += " " + std::to_string(each.key);
    text += "\n";
  }
  return text;
}

}  // namespace simulator

#include "simulator/world.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace simulator {

namespace {

constexpr uint64_t kMostSteps = 5'000'000;
constexpr Nanos kMostTime = 3600 * kSecond;

}  // namespace

Settings::Settings(uint64_t seed_) : seed(seed_) {
  Random random(seed);
  const auto pick = [&random](std::initializer_list<uint64_t> of) {
    return *(of.begin() + random.below(of.size()));
  };
  node.cpus = static_cast<double>(pick({1, 2, 2, 2, 4}));
  node.budget = pick({200'000, 1 << 20, 8 << 20, 64 << 20});
  node.policy.cores = static_cast<int>(pick({1, 2, 4}));
  node.policy.max_blocked = static_cast<uint32_t>(pick({1, 2, 4, 8}));
  node.policy.max_zero_cpu = static_cast<uint32_t>(pick({4, 32}));
  load.depth = static_cast<int>(random.below(4));
  load.most_ops = pick({1, 3, 6, 9});
  load.shortest = static_cast<Nanos>(pick({100, 1'000, 50'000}));
  load.longest = load.shortest * static_cast<Nanos>(pick({1, 5, 50}));
  load.long_per_mille = pick({0, 0, 20, 200});
  load.large_per_mille = pick({0, 20, 300});
  load.huge_per_mille = pick({0, 0, 10, 100});
  load.largest = pick({10'000, 100'000, 300'000});
  load.classes = pick({1, 1, 3, 5});
  plan.tasks = pick({1, 20, 60, 120});
  if (load.depth == 3) plan.tasks = std::min<uint64_t>(plan.tasks, 40);
  plan.most_in_flight = pick({1, 8, 50, 500});
  plan.put_per_mille = pick({0, 100, 300});
  plan.wait_per_mille = pick({10, 100, 400});
  plan.longest_pause = static_cast<Nanos>(pick({0, 0, 100'000, 20'000'000, 3'000'000'000}));
  kills = pick({0, 3, 10, 40});
  kill_per_million = pick({300, 3'000, 30'000});
  pester_per_million = pick({0, 1'000, 20'000});
  longest_start = static_cast<Nanos>(pick({100'000, 3'000'000}));
  start_fails_per_mille = pick({0, 0, 0, 100, 700});
  longest_notice = static_cast<Nanos>(pick({0, 100'000, 5'000'000}));
  stalls_per_million = pick({0, 0, 1'000, 10'000});
  longest_stall = static_cast<Nanos>(pick({20'000, 5'000'000, 500'000'000}));
}

World::World(const Settings& settings, bool traced)
    : settings_(settings),
      traced_(traced),
      random_(mix(settings.seed, 5)),
      oracle_(settings_.load),
      node_(settings_.node, *this),
      driver_(settings_.plan, settings_.load, node_, oracle_, *this, mix(settings.seed, 6)) {
  node_.define(kHalf, {{"CPU", 0.5}});
  node_.define(kNoCpu, {});
  node_.define(kDisk, {{"CPU", 0.25}, {"disk", 1}});
  node_.define(kAll, {{"CPU", settings_.node.cpus}});
}

void World::trace(const char* format, ...) {
  if (!traced_) return;
  std::printf("%10.3f us  ", static_cast<double>(now_ - kSecond) / 1000);
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}

void World::ring(ipc::Bell bell) {
  trace("ring %lu", static_cast<uint64_t>(bell));
  rung_ = true;
}

// ---- processes

void World::fork_worker(WorkerLink& link) {
  const auto delay = static_cast<Nanos>(random_.below(static_cast<uint64_t>(settings_.longest_start)));
  const bool fails = random_.per_mille(settings_.start_fails_per_mille);
  unborn_.emplace_back(link.worker.id.value, &link);
  events_.push_back({now_ + 1 + delay, fails ? Event::Kind::kExited : Event::Kind::kBegin,
                     link.worker.id.value});
}

void World::step_event() {
  const auto first = std::min_element(events_.begin(), events_.end(),
                                      [](const Event& a, const Event& b) { return a.at < b.at; });
  const Event event = *first;
  events_.erase(first);
  if (event.kind == Event::Kind::kExited) {
    trace("worker %u has exited", event.worker);
    std::erase_if(unborn_, [&](const auto& each) { return each.first == event.worker; });
    node_.worker_exited(event.worker);
    look_at_ = 0;
    return;
  }
  const auto born = std::find_if(unborn_.begin(), unborn_.end(),
                                 [&](const auto& each) { return each.first == event.worker; });
  WorkerLink* link = born->second;
  unborn_.erase(born);
  workers_.push_back({std::make_unique<SimWorker>(static_cast<WorkerHost&>(*this), *link,
                                                  node_.bell_page(),
                                                  mix(settings_.seed, 100 + event.worker))});
  ++summary_.workers;
}

void World::bury(size_t i) {
  const auto delay = static_cast<Nanos>(random_.below(static_cast<uint64_t>(settings_.longest_notice) + 1));
  events_.push_back({now_ + delay, Event::Kind::kExited, workers_[i].worker->id()});
  workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
}

void World::step_worker(size_t i) {
  SimWorker& worker = *workers_[i].worker;
  if (kills_ < settings_.kills && random_.below(1'000'000) < settings_.kill_per_million) {
    ++kills_;
    trace("worker %u is killed", worker.id());
    worker.kill();
  } else {
    worker.step();
  }
  workers_[i].stalled_until = stall();
  if (worker.gone()) bury(i);
}

// ---- the pump: the driver's waiting thread, or the supervisor while nobody waits

Nanos World::pump_wakes() const {
  const Nanos wakes = pump_ != Pump::kAsleep || rung_ ? now_ : look_at_;
  return std::max(wakes, pump_stalled_until_);
}

// stall: now and then whoever has just done something loses the processor.
Nanos World::stall() {
  if (random_.below(1'000'000) >= settings_.stalls_per_million) return 0;
  return now_ + static_cast<Nanos>(random_.below(static_cast<uint64_t>(settings_.longest_stall)));
}

void World::step_pump() {
  pump_stalled_until_ = stall();
  switch (pump_) {
    case Pump::kAsleep:
      rung_ = false;
      pump_ = Pump::kDrain;
      break;
    case Pump::kDrain:
      node_.drain();
      driver_.look();
      node_.look_after();
      pump_ = Pump::kSetBell;
      break;
    case Pump::kSetBell:
      node_.set_bell(driver_.waits());
      pump_ = Pump::kLook;
      break;
    case Pump::kLook: {
      const bool found = node_.drain();
      driver_.look();
      look_at_ = node_.next_look();
      pump_ = found ? Pump::kDrain : Pump::kAsleep;
      break;
    }
  }
}

void World::step_driver() {
  const bool waited = driver_.waits();
  driver_.step();
  if (driver_.waits() != waited) {
    pump_ = Pump::kDrain;  // it leads from now on
  } else if (pump_ == Pump::kAsleep) {
    node_.raise_bell();
    look_at_ = std::min(look_at_, node_.next_look());
  }
}

// ---- time

Nanos World::next_moment() {
  Nanos next = std::min(pump_wakes(), driver_.wakes());
  for (const Process& each : workers_) next = std::min(next, each.wakes());
  for (const Event& event : events_) next = std::min(next, event.at);
  return next;
}

// one_step lets somebody who can do something do it; false: nobody can now.
bool World::one_step() {
  std::vector<size_t> able;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].wakes() <= now_) able.push_back(i);
  }
  const size_t workers = able.size();
  const bool pump = pump_wakes() <= now_;
  const bool driver = driver_.wakes() <= now_;
  const bool event = std::any_of(events_.begin(), events_.end(),
                                 [&](const Event& each) { return each.at <= now_; });
  const size_t choices = workers + (pump ? 1u : 0u) + (driver ? 1u : 0u) + (event ? 1u : 0u);
  if (choices == 0) return false;
  size_t choice = random_.below(choices);
  if (choice < workers) {
    step_worker(able[choice]);
  } else {
    choice -= workers;
    if (pump && choice-- == 0) {
      step_pump();
    } else if (driver && choice-- == 0) {
      step_driver();
    } else {
      step_event();
    }
  }
  if (random_.below(1'000'000) < settings_.pester_per_million) node_.pester(random_);
  now_ += static_cast<Nanos>(random_.below(200));
  if (++summary_.steps % 16 == 0) node_.check();
  return true;
}

void World::run_until_quiet() {
  for (;;) {
    while (one_step()) {
      if (summary_.steps > kMostSteps) fail("no end after %lu steps", summary_.steps);
    }
    const bool idle = driver_.done() && node_.tasks() == 0;
    const Nanos next = next_moment();
    if (idle && next > now_ + kMillisecond && node_.starting() == 0) return;
    if (next == INT64_MAX) fail("nothing can move, but work is left: %s", node_.describe().c_str());
    if (next > kMostTime) fail("no end after an hour");
    now_ = std::max(now_, next);
  }
}

Summary World::run() {
  run_until_quiet();
  node_.drain();  // what the driver released last waits for somebody who pumps
  run_until_quiet();
  node_.check_idle();
  for (const Process& each : workers_) {
    const auto& held = node_.held(each.worker->id());
    if (held.size() != each.worker->held()) {
      fail("worker %u holds %zu references, the node thinks %zu", each.worker->id(),
           each.worker->held(), held.size());
    }
  }
  while (node_.workers() > 0) {
    node_.retire_idle();
    pump_ = Pump::kDrain;
    run_until_quiet();
  }
  node_.check_end();
  oracle_.at_end();
  summary_.tasks = oracle_.tasks();
  summary_.deaths = oracle_.deaths();
  summary_.errors = oracle_.errors();
  summary_.checked = driver_.checked();
  summary_.time = now_ - kSecond;
  return summary_;
}

std::string World::describe() {
  std::string text = node_.describe() + "\n";
  for (const Process& each : workers_) text += "  " + each.worker->describe() + "\n";
  return text;
}

}  // namespace simulator

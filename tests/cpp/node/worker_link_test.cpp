// worker_link: taking one task back, and passing interrupts on, without a worker's process: the
// test reads and writes the worker's words itself.
#include "node/worker_link.h"

#include <doctest/doctest.h>

using namespace bolide;
using namespace bolide::node;

namespace {

std::unique_ptr<WorkerLink> make_link() {
  ipc::LinkHeader header{};
  header.magic = ipc::kLinkMagic;
  header.version = ipc::kLinkVersion;
  header.worker = 7;
  header.client = 8;
  auto made = WorkerLink::make(header);
  REQUIRE(made.is_ok());
  return made.take();
}

// Tasks as the node has them, sent to the link.
struct Tasks {
  explicit Tasks(WorkerLink& to) : link(to) {}
  ~Tasks() {
    for (Task* task : all) Task::destroy(memory, task);
  }
  Task* send(uint32_t argument_bytes = 0) {
    ipc::TaskHeader header{};
    header.argument_bytes = argument_bytes;
    header.sequence = link.next_sequence++;
    Task* task = Task::make(memory, header);
    const uint64_t size = sizeof header + task->body_bytes();
    const uint64_t at = link.send(
        ipc::RecordType::kTask, size,
        [&](std::byte* to) { std::memcpy(to, &task->header, size); }, header.sequence);
    link.outstanding.push_back({header.sequence, at, task, false});
    all.push_back(task);
    return task;
  }
  WorkerLink& link;
  bolide::BlockPool memory;
  std::vector<Task*> all;
};

}  // namespace

TEST_CASE("take_back_one: takes a task out of the middle and leaves the others") {
  auto link = make_link();
  Tasks tasks(*link);
  for (int i = 0; i < 3; ++i) tasks.send();
  link->flush();
  std::vector<Location> unsent;
  CHECK(link->take_back_one(tasks.all[1], &unsent));
  CHECK(link->find_task(tasks.all[1]) == nullptr);
  REQUIRE(link->outstanding.size() == 2);
  CHECK(link->outstanding[0].sequence == 1);
  CHECK(link->outstanding[1].sequence == 3);
  CHECK_FALSE(link->take_back_one(tasks.all[1], &unsent));
  CHECK(unsent.empty());
}

TEST_CASE("take_back_one: leaves a task that the worker has claimed") {
  auto link = make_link();
  Tasks tasks(*link);
  tasks.send();
  tasks.send();
  link->flush();
  link->tasks.control()->claimed.store(1 << 1);
  std::vector<Location> unsent;
  CHECK_FALSE(link->take_back_one(tasks.all[0], &unsent));
  CHECK(link->take_back_one(tasks.all[1], &unsent));
  CHECK(link->outstanding.size() == 1);
}

TEST_CASE("take_back_one: takes a task that found no room in the ring") {
  auto link = make_link();
  Tasks tasks(*link);
  while (!link->has_overflow()) tasks.send(30'000);
  tasks.send(30'000);
  const size_t sent = tasks.all.size();
  std::vector<Location> unsent;
  CHECK(link->take_back_one(tasks.all[sent - 2], &unsent));
  CHECK(link->has_overflow());
  CHECK(link->take_back_one(tasks.all[sent - 1], &unsent));
  CHECK_FALSE(link->has_overflow());
  CHECK(link->tasks.control()->producer_waiting.load() == 0);
}

TEST_CASE("step_interrupts: one word at a time, again until it is seen or the task has ended") {
  auto link = make_link();
  Tasks tasks(*link);
  for (int i = 0; i < 3; ++i) tasks.send();
  ipc::RingControl* control = link->tasks.control();
  CHECK_FALSE(link->step_interrupts());

  link->interrupts = {1, 3};
  CHECK(link->step_interrupts());
  CHECK(control->interrupt.load() == 1);
  CHECK(link->step_interrupts());  // not seen: the signal is to be sent again
  CHECK(control->interrupt.load() == 1);

  control->interrupt_seen.store(1);
  CHECK(link->step_interrupts());
  CHECK(control->interrupt.load() == 3);

  link->remove_outstanding(link->find_outstanding(3));
  CHECK_FALSE(link->step_interrupts());
  CHECK(link->interrupts.empty());

  link->interrupts = {3};  // a task that is over by now is not even written
  control->interrupt.store(0);
  CHECK_FALSE(link->step_interrupts());
  CHECK(control->interrupt.load() == 0);
}

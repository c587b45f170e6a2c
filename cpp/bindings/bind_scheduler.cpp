// The ready queue as a plain object, for tests from Python.
#include <memory>

#include "bindings/bindings.h"
#include "sched/task.h"

namespace bolide::bindings {
namespace {

// QueuedTasks is a ReadyQueue of numbered tasks.
class QueuedTasks {
 public:
  void push(uint64_t id) {
    tasks_.push_back(std::make_unique<Numbered>());
    tasks_.back()->id = id;
    queue_.push_back(tasks_.back().get());
  }
  py::object pop() {
    auto* task = static_cast<Numbered*>(queue_.front());
    if (task == nullptr) return py::none();
    queue_.remove(task);
    return py::int_(task->id);
  }
  size_t size() const { return queue_.size(); }

 private:
  struct Numbered : sched::Task {
    uint64_t id = 0;
  };
  sched::ReadyQueue queue_;
  std::vector<std::unique_ptr<Numbered>> tasks_;
};

}  // namespace

void bind_scheduler(py::module_& module) {
  py::class_<QueuedTasks>(module, "ReadyQueue", "The scheduler's queue, first in, first out.")
      .def(py::init<>())
      .def("push", &QueuedTasks::push)
      .def("pop", &QueuedTasks::pop)
      .def("__len__", &QueuedTasks::size);
}

}  // namespace bolide::bindings

// bolide._core: what is not per call. Each topic binds itself; see bind_*.cpp.
#include "bindings/bindings.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The C++ core of bolide: nodes, workers, store, scheduler queue, statistics.";
  bolide::bindings::bind_errors(module);
  bolide::bindings::bind_node(module);
  bolide::bindings::bind_worker(module);
  bolide::bindings::bind_store(module);
  bolide::bindings::bind_scheduler(module);
  bolide::bindings::bind_measure(module);
  bolide::bindings::bind_faults(module);
}

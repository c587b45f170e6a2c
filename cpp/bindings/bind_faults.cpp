// bind_faults: arming the fault points of base/fault.h from tests. A release build has none and
// says so.
#include "base/fault.h"
#include "bindings/bindings.h"

namespace bolide::bindings {

void bind_faults(py::module_& module) {
#ifdef BOLIDE_FAULTS
  module.attr("has_faults") = true;
  module.def("arm_faults",
             [](const std::string& plan, uint64_t seed) { raise_status(fault::load(plan, seed)); },
             py::arg("plan"), py::arg("seed") = 0,
             "Replaces this process's fault plan, in the form of the variable BOLIDE_FAULT.");
  module.def("fault_visits", &fault::visits,
             "How often this process has been at a point of the first rule of its plan.");
#else
  module.attr("has_faults") = false;
#endif
}

}  // namespace bolide::bindings

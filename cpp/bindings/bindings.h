// bindings: one function a topic, each in its own bind_<topic>.cpp, and the one place where a
// Status becomes a Python exception.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/status.h"

namespace bolide::bindings {

namespace py = pybind11;

void bind_errors(py::module_& module);
void bind_node(py::module_& module);
void bind_worker(py::module_& module);
void bind_store(py::module_& module);
void bind_scheduler(py::module_& module);
void bind_measure(py::module_& module);
void bind_faults(py::module_& module);

// raise_status raises CoreError(code, message) unless the status is OK.
void raise_status(const Status& status);

template <class T>
T take_or_raise(Result<T> result) {
  if (!result.is_ok()) raise_status(result.status());
  return result.take();
}

}  // namespace bolide::bindings

#include "bindings/bindings.h"

namespace bolide::bindings {
namespace {

PyObject* g_core_error = nullptr;  // owned by the module for the life of the process

}  // namespace

void raise_status(const Status& status) {
  if (status.is_ok()) return;
  const py::tuple args = py::make_tuple(static_cast<int>(status.code()), status.message());
  PyErr_SetObject(g_core_error, args.ptr());
  throw py::error_already_set();
}

void bind_errors(py::module_& module) {
  g_core_error = PyErr_NewExceptionWithDoc(
      "bolide._core.CoreError", "A failed call of the core: (code, sentence).", PyExc_RuntimeError,
      nullptr);
  module.add_object("CoreError", g_core_error);
}

}  // namespace bolide::bindings

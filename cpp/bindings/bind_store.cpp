// The reference table and the span allocator as plain objects, for tests of their rules from
// Python and for looking at them in an interpreter.
#include "bindings/bindings.h"
#include "store/object_table.h"
#include "store/span_allocator.h"

namespace bolide::bindings {

using store::ObjectTable;
using store::SpanAllocator;

void bind_store(py::module_& module) {
  py::class_<ObjectTable>(module, "ObjectTable", "Objects by id, with values and holders.")
      .def(py::init<>())
      .def("add", [](ObjectTable& table, uint64_t id) { table.add(ObjectId{id})->refs = 1; })
      .def("set",
           [](ObjectTable& table, uint64_t id, const std::string& value) {
             auto* entry = table.find(ObjectId{id});
             if (entry == nullptr) throw py::key_error("no such object");
             table.set_inline(entry, value.data(), value.size(), 0);
           })
      .def("get",
           [](ObjectTable& table, uint64_t id) -> py::object {
             auto* entry = table.find(ObjectId{id});
             if (entry == nullptr) throw py::key_error("no such object");
             if (!entry->ready()) return py::none();
             const auto value = ObjectTable::inline_value(entry);
             return py::bytes(reinterpret_cast<const char*>(value.data), value.size);
           })
      .def("erase",
           [](ObjectTable& table, uint64_t id) {
             auto* entry = table.find(ObjectId{id});
             if (entry == nullptr) throw py::key_error("no such object");
             table.erase(entry);
           })
      .def("__len__", &ObjectTable::size)
      .def("heap_bytes", &ObjectTable::heap_bytes);

  py::class_<SpanAllocator>(module, "SpanAllocator", "Places in one chunk of the store.")
      .def(py::init<uint64_t>())
      .def("allocate", &SpanAllocator::allocate)
      .def("free", &SpanAllocator::free)
      .def("used", &SpanAllocator::used)
      .def("is_valid", &SpanAllocator::is_valid);
}

}  // namespace bolide::bindings

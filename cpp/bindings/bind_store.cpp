// The reference table and the span allocator as plain objects, for tests of their rules from
// Python and for looking at them in an interpreter.
#include "bindings/bindings.h"
#include "store/object_table.h"
#include "store/span_allocator.h"

namespace bolide::bindings {
namespace {

using store::ObjectEntry;
using store::ObjectTable;
using store::SpanAllocator;

ObjectEntry* entry_of(ObjectTable& table, uint64_t id) {
  ObjectEntry* entry = table.find(ObjectId{id});
  if (entry == nullptr) throw py::key_error("there is no object " + std::to_string(id));
  return entry;
}

}  // namespace

void bind_store(py::module_& module) {
  py::class_<ObjectTable>(module, "ObjectTable", "Objects by id, with values and holders.")
      .def(py::init<>())
      .def("add",
           [](ObjectTable& table, uint64_t id) {
             if (id == 0 || table.find(ObjectId{id}) != nullptr) {
               throw py::value_error("the id " + std::to_string(id) + " is 0 or taken");
             }
             table.add(ObjectId{id})->refs = 1;
           })
      .def("set",
           [](ObjectTable& table, uint64_t id, const std::string& value) {
             ObjectEntry* entry = entry_of(table, id);
             if (entry->ready()) {
               throw py::value_error("the object " + std::to_string(id) + " has its value");
             }
             table.set_inline(entry, value.data(), value.size(), 0);
           })
      .def("get",
           [](ObjectTable& table, uint64_t id) -> py::object {
             ObjectEntry* entry = entry_of(table, id);
             if (!entry->ready()) return py::none();
             const auto value = ObjectTable::inline_value(entry);
             return py::bytes(reinterpret_cast<const char*>(value.data), value.size);
           })
      .def("erase",
           [](ObjectTable& table, uint64_t id) { table.erase(entry_of(table, id)); })
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

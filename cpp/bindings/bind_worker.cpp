#include "bindings/bindings.h"
#include "node/template_server.h"
#include "node/worker_client.h"

namespace bolide::bindings {

using node::ForkOrder;
using node::TemplateServer;
using node::WorkerClient;

void bind_worker(py::module_& module) {
  py::class_<ForkOrder>(module, "ForkOrder", "A worker to be forked.")
      .def(py::init<>())
      .def_readonly("worker", &ForkOrder::worker)
      .def("settings",
           [](const ForkOrder& order) {
             if (order.settings_bytes == 0) return py::bytes();
             auto mapping = take_or_raise(
                 os::Mapping::map(order.settings, order.settings_bytes, os::Access::kRead));
             return py::bytes(reinterpret_cast<const char*>(mapping.data()),
                              order.settings_bytes);
           });

  py::class_<TemplateServer>(module, "TemplateServer", "The loop of the template process.")
      .def_static("open", [] { return take_or_raise(TemplateServer::open()); })
      .def("next", &TemplateServer::next)
      .def("forked", &TemplateServer::forked)
      .def("fork_failed", &TemplateServer::fork_failed)
      .def("attach",
           [](TemplateServer& server, ForkOrder& order) {
             order.descriptors.owner = server.in_child();
             return take_or_raise(WorkerClient::attach(std::move(order.descriptors)));
           },
           "In the forked child: lets go of the template and connects to the node.");

  py::class_<WorkerClient>(module, "WorkerClient", "A worker's side of its link to the node.")
      .def("address", [](WorkerClient& client) { return reinterpret_cast<uintptr_t>(&client); });
}

}  // namespace bolide::bindings

#include "bindings/bindings.h"
#include "node/node.h"
#include "os/event.h"

namespace bolide::bindings {
namespace {

using node::Node;
using node::NodeOptions;

// start takes everything by keyword: see bolide/_runtime.py for the meaning and the defaults.
std::unique_ptr<Node> start(double num_cpus, std::vector<std::pair<std::string, double>> resources,
                            uint64_t object_store_memory, std::string spill_directory,
                            double memory_refresh, double memory_threshold, std::string meminfo,
                            int64_t spin_ns, uint64_t inline_limit,
                            uint32_t max_blocked_per_core, double start_timeout,
                            bool forward_output, std::vector<std::string> argv,
                            std::vector<std::string> env, const std::string& settings) {
  NodeOptions options;
  options.num_cpus = num_cpus;
  options.resources = std::move(resources);
  options.object_store_memory = object_store_memory;
  options.spill_directory = std::move(spill_directory);
  options.memory_refresh = static_cast<Nanos>(memory_refresh * 1e9);
  options.memory_threshold = memory_threshold;
  options.meminfo = std::move(meminfo);
  options.max_spin = spin_ns;
  options.inline_limit = inline_limit;
  options.max_blocked_per_core = max_blocked_per_core;
  options.start_timeout = static_cast<Nanos>(start_timeout * 1e9);
  options.forward_output = forward_output;
  options.command = {std::move(argv), std::move(env)};
  options.settings = settings;
  return take_or_raise(Node::start(std::move(options)));
}

py::dict stats_dict(Node& node) {
  const node::NodeStats stats = node.stats();
  py::dict store;
  store["budget"] = stats.store.budget;
  store["granted"] = stats.store.granted;
  store["touched"] = stats.store.touched;
  store["live"] = stats.store.live;
  store["warm"] = stats.store.warm;
  store["chunks"] = stats.store.chunks;
  store["spilled_objects"] = stats.spilled_objects;
  store["spilled"] = stats.spilled;
  store["written"] = stats.written;
  store["read"] = stats.read;
  py::dict out;
  out["objects"] = stats.objects;
  out["heap_bytes"] = stats.heap_bytes;
  out["store"] = store;
  out["tasks"] = stats.tasks;
  out["ready"] = stats.ready;
  out["workers"] = stats.workers;
  out["idle_workers"] = stats.idle_workers;
  out["waiting_workers"] = stats.waiting_workers;
  out["started_workers"] = stats.started_workers;
  out["retries"] = stats.retries;
  out["submitted"] = stats.submitted;
  out["completed"] = stats.completed;
  out["functions"] = stats.functions;
  out["actors"] = stats.actors;
  return out;
}

// wait_service sleeps until there is output or a watched object is ready, or `seconds` are over.
std::vector<uint64_t> wait_service(Node& node, double seconds) {
  const auto queue = node.service();
  if (queue == nullptr) return {};
  pollfd item{queue->fd(), POLLIN, 0};
  os::poll_fds(&item, 1, seconds < 0 ? -1 : static_cast<Nanos>(seconds * 1e9));
  return queue->take();
}

}  // namespace

void bind_node(py::module_& module) {
  using py::call_guard;
  using py::gil_scoped_release;
  py::class_<Node>(module, "Node", "One scheduler, reference table and object store.")
      .def_static("start", &start, py::kw_only(), py::arg("num_cpus"), py::arg("resources"),
                  py::arg("object_store_memory"), py::arg("spill_directory"), py::arg("memory_refresh"),
                  py::arg("memory_threshold"), py::arg("meminfo"), py::arg("spin_ns"), py::arg("inline_limit"),
                  py::arg("max_blocked_per_core"), py::arg("start_timeout"),
                  py::arg("forward_output"), py::arg("argv"), py::arg("env"), py::arg("settings"))
      .def("address", [](Node& node) { return reinterpret_cast<uintptr_t>(static_cast<node::Client*>(&node)); },
           "Where the hot path finds the C++ client.")
      .def("stop", &Node::stop, call_guard<gil_scoped_release>())
      .def("after_fork", &Node::after_fork)
      .def("set_settings", [](Node& node, uint64_t key,
                              const std::string& blob) { node.set_settings(key, blob); })
      .def("prepare_environment", &Node::prepare_environment)
      .def("take_environments",
           [](Node& node) {
             py::list wanted;
             for (const node::EnvironmentRequest& request : node.take_environments()) {
               wanted.append(py::make_tuple(request.key, py::bytes(request.description)));
             }
             return wanted;
           },
           "(key, description) of the environments that tasks wait for.")
      .def("environment_ready",
           [](Node& node, uint64_t key, std::vector<std::string> argv,
              std::vector<std::string> env, std::string settings) {
             node.environment_ready(key, {std::move(argv), std::move(env)}, std::move(settings));
           },
           call_guard<gil_scoped_release>())
      .def("environment_failed",
           [](Node& node, uint64_t key, const std::string& text) {
             node.environment_failed(key, text);
           },
           call_guard<gil_scoped_release>())
      .def("stats", &stats_dict)
      .def("memory_report",
           [](Node& node, uint64_t limit) {
             std::string report;
             {
               gil_scoped_release open;
               report = node.memory_report(limit);
             }
             return py::bytes(report);
           },
           "The largest objects and their holders, as JSON.")
      .def("worker_pids", &Node::worker_pids)
      .def("template_pid", &Node::template_pid)
      .def("resources", &Node::resources)
      .def("trace_events",
           [](Node& node) {
             py::list events;
             for (const node::TraceEvent& event : node.trace_events()) {
               events.append(py::make_tuple(event.task, event.began, event.ended, event.pid,
                                            py::bytes(event.name)));
             }
             return events;
           },
           "(task, began, ended, pid, name) of tasks that were traced.")
      .def("references", [](Node& node, uint64_t id) { return node.references(ObjectId{id}); },
           "How many references an object has; 0 when it is unknown.")
      .def("audit", &Node::audit, "Walks the tables and tells whether their invariants hold.")
      .def("has_output", &Node::has_output)
      .def("take_output",
           [](Node& node) {
             py::list lines;
             for (const node::OutputLine& line : node.take_output()) {
               lines.append(py::make_tuple(line.stream, line.pid, py::bytes(line.text)));
             }
             return lines;
           })
      .def("output_printed", &Node::output_printed)
      .def("close_service", [](Node& node) { node.service()->close(); },
           "After stop, when no thread sleeps in wait_service any more.")
      .def("take_warnings", &Node::take_warnings)
      .def("wake_service",
           [](Node& node) {
             if (const auto queue = node.service()) queue->push(0);
           },
           "Makes wait_service return.")
      .def("wait_service", &wait_service, call_guard<gil_scoped_release>());
}

}  // namespace bolide::bindings

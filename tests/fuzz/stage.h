// stage: the node on the simulated machine with one worker that sends it anything, for the targets
// of the node. The workers after that one are honest: whatever the first has sent, the driver's
// tasks end, the node's tables are whole, and what is called afterwards gives its result.
//
// The worker is honest up to a point, so that it has what a record may name: a chunk of its own
// with an object in it, references, tasks that it was sent. Numbers are the same in every run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "node/node.h"
#include "simulated/template.h"

namespace fuzz {

inline constexpr uint64_t kDriver = uint64_t{1} << 40;   // ids of the driver's objects begin here
inline constexpr uint64_t kHostile = uint64_t{2} << 40;  // and those of the first worker's
inline constexpr uint32_t kWarmUps = 8;  // tasks that the first worker runs before it is hostile

enum class Kind : uint8_t { kPool, kActor };

class Stage {
 public:
  // What the first worker does once it has a task (of an actor: a call) that it does not answer.
  // `link` is its link, mapped; its client must not be used any more.
  using Hostility = std::function<void(bolide::node::WorkerClient& client, std::byte* link,
                                       std::byte* own_object)>;

  Stage(Kind kind, Hostility hostility);
  ~Stage();

  // play runs it all. Aborts when something is not as it must be.
  void play();

  // The descriptor of the template's end of its socket.
  int template_socket() const { return template_socket_.get(); }
  simulator::Machine& machine() { return machine_; }
  // Called by the driver's thread when the tasks are submitted.
  std::function<void()> meanwhile;

 private:
  void drive(bolide::node::Node& node);
  void worker_main(uint32_t worker, bolide::node::WorkerClient::Descriptors descriptors);
  void hostile_main(bolide::node::WorkerClient::Descriptors descriptors);
  void execute(bolide::node::WorkerClient& worker, const bolide::node::TaskView& task);

  const Kind kind_;
  const Hostility hostility_;
  simulator::Machine machine_;
  simulator::TemplateHost host_;
  bolide::os::Fd template_socket_;
};

}  // namespace fuzz

// service: answers for objects of the driver's that are watched instead of waited for, in a thread
// of its own, as the driver's event loop does.
#pragma once

#include <memory>
#include <unordered_map>

#include "node/node.h"
#include "simulator/calls.h"

namespace simulator {

class Service {
 public:
  // `may_stop`: the runtime may be shut down before all have come.
  Service(const Context& context, bolide::node::Node& node, bool may_stop);
  void run();
  // watch takes over the reference.
  void watch(ObjectEntry* entry);
  // stop lets run() return once every watched object has come.
  void stop();

 private:
  const Context context_;
  bolide::node::Node& node_;
  const bool may_stop_;
  std::shared_ptr<bolide::node::CompletionQueue> queue_;
  std::unordered_map<uint64_t, ObjectEntry*> watched_;
  uint64_t next_token_ = 1;
  bool stopping_ = false;
};

}  // namespace simulator

#include "simulator/service.h"

namespace simulator {

using namespace bolide;
using node::Node;

Service::Service(const Context& context, Node& node, bool may_stop)
    : context_(context),
      node_(node),
      may_stop_(may_stop),
      queue_(node::CompletionQueue::create().take()) {}

void Service::run() {
  while (!stopping_ || !watched_.empty()) {
    pollfd item{queue_->fd(), POLLIN, 0};
    os::poll_fds(&item, 1, -1);
    for (uint64_t token : queue_->take()) {
      if (token == 0) continue;
      const auto found = watched_.find(token);
      if (found == watched_.end()) fail("an object that was watched has come twice");
      ObjectEntry* entry = found->second;
      watched_.erase(found);
      // The stop of the runtime ends every watch.
      if (entry->ready()) {
        read_value(context_, node_, entry);
      } else if (!may_stop_) {
        fail("an object was announced that is not ready");
      }
      node_.release(entry);
    }
  }
}

void Service::watch(ObjectEntry* entry) {
  const uint64_t token = next_token_++;
  watched_[token] = entry;
  const Status status = node_.watch(entry, queue_, token);
  if (status.code() == Code::kClosed) {
    watched_.erase(token);
    node_.release(entry);
  } else if (!status.is_ok())
    fail("an object cannot be watched: %s", status.message().c_str());
}

void Service::stop() {
  stopping_ = true;
  queue_->push(0);
}

}  // namespace simulator

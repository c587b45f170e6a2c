// What the template process tells the node, and the node the template: messages of any content and
// length. The node goes on with what it can; the template leaves when it does not understand.
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "fuzz/stage.h"
#include "fuzz/target.h"
#include "node/template_link.h"
#include "os/fd_passing.h"

using namespace bolide;
using node::TemplateEvent;
using node::TemplateMessage;

namespace {

template <class... Messages>
fuzz::Bytes messages(const Messages&... all) {
  fuzz::Bytes bytes(8, sizeof(TemplateMessage));  // the first byte: how long a message is
  const auto add = [&](const TemplateMessage& message) {
    const auto* from = reinterpret_cast<const uint8_t*>(&message);
    bytes.insert(bytes.end(), from, from + sizeof message);
  };
  (add(all), ...);
  return bytes;
}

}  // namespace

std::vector<fuzz::Bytes> fuzz::seeds() {
  return {
      messages(TemplateMessage{TemplateEvent::kForked, 7, 7, 0}),
      messages(TemplateMessage{TemplateEvent::kForkFailed, 1, 0, 11}),
      messages(TemplateMessage{TemplateEvent::kExited, 1, 101, 9},
               TemplateMessage{TemplateEvent::kExited, 1, 101, 9}),
      messages(TemplateMessage{TemplateEvent::kForkFailed, 2, 0, 11},
               TemplateMessage{TemplateEvent::kExited, 2, 102, 0}),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  fuzz::Stage stage(fuzz::Kind::kPool, [](node::WorkerClient&, std::byte*, std::byte*) {});
  stage.meanwhile = [&] {
    const size_t length = std::max<size_t>(1, data[0]);
    for (size_t at = 8; at < size; at += length) {
      const auto message = std::as_bytes(std::span(data + at, std::min(length, size - at)));
      static_cast<void>(os::send_message(stage.template_socket(), message, {}));
      if (data[1] % 2 != 0) stage.machine().sleep(100 * kMicrosecond);
    }
  };
  stage.play();
  return 0;
}

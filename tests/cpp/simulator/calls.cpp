#include "simulator/calls.h"

#include "node/system_error.h"

#include <algorithm>
#include <cstring>

namespace simulator {

using namespace bolide;

Status submit(const Context& context, node::Client& client, const Call& call,
              std::vector<ObjectEntry*>* returns) {
  const uint64_t key =
      context.oracle.submitting(call.spec, call.max_retries, call.dependencies, call.contained);
  const std::string name = std::to_string(key);
  const Arguments given{call.spec.seed, key, call.spec.depth, call.spec.returns, call.raises, 0};
  std::vector<std::byte> arguments(std::max(call.size, sizeof given));
  std::memcpy(arguments.data(), &given, sizeof given);
  node::SubmitRequest request;
  request.function = call.function;
  request.scheduling_class = call.spec.cls;
  request.dependencies = call.dependencies.data();
  request.contained = call.contained.data();
  request.arguments = arguments.data();
  request.name = name.data();
  request.dependency_count = call.spec.dependencies;
  request.contained_count = call.spec.contained;
  request.argument_bytes = static_cast<uint32_t>(arguments.size());
  request.name_bytes = static_cast<uint32_t>(name.size());
  request.returns = call.spec.returns;
  request.max_retries = call.max_retries;
  request.flags = call.raises > 0 ? uint32_t{ipc::kRetryExceptions} : 0;
  context.machine.trace("submits task %lu of class %lu", key, call.spec.cls);
  auto first = client.submit(request);
  context.machine.end_if_dead();
  if (!first.is_ok()) return first.status();
  if (call.spec.returns == 0) return Status();
  const ObjectId id = (*first)->id;
  context.oracle.named(key, id.value);
  for (uint32_t i = 0; i < call.spec.returns; ++i)
    returns->push_back(client.find(return_of(id, i)));
  return Status();
}

Oracle::Read read_value(const Context& context, node::Client& client, ObjectEntry* entry) {
  if (entry->holding != store::Holding::kStored) {
    const store::ValueBytes value = store::ObjectTable::inline_value(entry);
    return context.oracle.value(entry->id.value, value.data, value.size, entry->value_flags);
  }
  while (!entry->presence.pin()) {
    const Status fetched = client.fetch(entry, now() + 100 * kMillisecond);
    context.machine.end_if_dead();
    if (fetched.is_ok()) break;
    if (fetched.code() == Code::kFull || fetched.code() == Code::kClosed) {
      const auto kind = fetched.code() == Code::kFull ? node::SystemErrorKind::kObjectStoreFull
                                                      : node::SystemErrorKind::kRaySystem;
      return context.oracle.unfetched(node::encode_system_error(kind, fetched.message()));
    }
    if (fetched.code() != Code::kTimeout) fail("no value: %s", fetched.message().c_str());
  }
  return read_pinned(context, client, entry);
}

Oracle::Read read_pinned(const Context& context, node::Client& client, ObjectEntry* entry) {
  const std::byte* bytes = client.resolve(entry->where);
  const Oracle::Read read =
      context.oracle.value(entry->id.value, bytes, entry->where.size, entry->value_flags);
  entry->presence.unpin();
  return read;
}

}  // namespace simulator

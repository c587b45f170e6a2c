// calls: what the driver's and the workers' programs have in common: calling a remote function and
// reading a value, through the one interface of both (cpp/node/client.h), with the oracle told.
#pragma once

#include "node/client.h"
#include "simulator/oracle.h"

namespace simulator {

using bolide::store::ObjectEntry;

struct Context {
  Machine& machine;
  Oracle& oracle;
  const Load& load;
};

struct Call {
  TaskSpec spec;
  uint64_t function = 0;
  std::vector<uint64_t> dependencies;
  std::vector<uint64_t> contained;
  uint64_t size = 0;  // of the arguments, at least
  int32_t max_retries = 0;
  uint32_t raises = 0;
};

// submit appends a reference to each return to `returns`.
bolide::Status submit(const Context& context, bolide::node::Client& client, const Call& call,
                      std::vector<ObjectEntry*>* returns);

// read_value gives the value of a ready object, checked.
// read_pinned takes the pin of a stored value back.
Oracle::Read read_pinned(const Context& context, bolide::node::Client& client,
                         bolide::store::ObjectEntry* entry);
Oracle::Read read_value(const Context& context, bolide::node::Client& client, ObjectEntry* entry);

}  // namespace simulator

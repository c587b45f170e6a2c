// Pipes: for the output that workers write past Python.
//
// Thread safety: none needed; each end belongs to its holder.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

// A pipe, both ends close-on-exec, the reading end non-blocking: {read, write}.
BOLIDE_API Result<std::pair<Fd, Fd>> make_pipe();

// Reads what is there, up to the size of `into`; 0 when nothing is.
BOLIDE_API size_t read_available(const Fd& fd, std::span<std::byte> into);

}  // namespace bolide::os

// os_testing: what the simulated operating system tells the checks at the end of a run.
#pragma once

#include <cstddef>

namespace simulator {

// Shared memories that somebody has mapped.
size_t mapped_memories();

}  // namespace simulator

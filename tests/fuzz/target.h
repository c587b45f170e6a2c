// target: what each fuzz target defines, for main.cpp and for libFuzzer (which knows the second
// only). An input that must not be makes the target abort.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fuzz {

using Bytes = std::vector<uint8_t>;

// seeds are valid inputs, from which mutations start.
std::vector<Bytes> seeds();

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// What the control groups of this process allow: memory and CPU time, for versions 1 and 2.
//
// Internal to os: others ask total_memory(), available_memory() and usable_cores(). A limit may sit
// on any group between ours and the root of what is mounted, so all of them are asked. What cannot
// be read counts as no limit.
//
// Thread safety: pure readers of files below `root` ("" is the machine; tests make a tree of their
// own).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/api.h"

namespace bolide::os {

struct CgroupMemory {
  uint64_t limit = 0;  // the lowest limit on the way up
  uint64_t room = 0;   // the least that any group has left; page cache it can drop counts as room
};

BOLIDE_API std::optional<CgroupMemory> cgroup_memory(const std::string& root = "");

// Cores' worth of CPU time: 1.5 for a quota of 150 ms in each 100 ms.
BOLIDE_API std::optional<double> cgroup_cpu_quota(const std::string& root = "");

}  // namespace bolide::os

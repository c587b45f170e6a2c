// The system calls of os/cpu.h.
#include "os/cpu.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <string>
#include <vector>

#include "os/cgroup.h"

namespace bolide::os {
namespace {

// How many cores the affinity mask names, however many the machine has; 0 when it cannot be read.
int cores_by_affinity() {
  for (size_t sets = 1; sets <= 64; sets *= 2) {
    std::vector<cpu_set_t> mask(sets);
    size_t bytes = sets * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, mask.data()) == 0) return CPU_COUNT_S(bytes, mask.data());
    if (errno != EINVAL) break;  // EINVAL: the mask is too short for this kernel
  }
  return 0;
}

}  // namespace

int usable_cores() {
  int cores = cores_by_affinity();
  if (cores <= 0) cores = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (std::optional<double> quota = cgroup_cpu_quota(); quota && *quota < cores) {
    cores = static_cast<int>(std::ceil(*quota));
  }
  return std::max(cores, 1);
}

int current_core() {
  return ::sched_getcpu();
}

Result<FdLimit> fd_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return system_error("cannot read the limit of open descriptors", errno);
  }
  return FdLimit{limit.rlim_cur, limit.rlim_max};
}

Status raise_fd_limit(uint64_t wanted) {
  Result<FdLimit> limit = fd_limit();
  if (!limit.is_ok()) return limit.status();
  if (limit->soft >= wanted) return Status();
  uint64_t possible = std::min(wanted, limit->hard);
  Status status = restore_fd_limit(FdLimit{possible, limit->hard});
  if (!status.is_ok() || possible == wanted) return status;
  return Status(Code::kFull, "this process may open " + std::to_string(possible) +
                                 " descriptors, " + std::to_string(wanted) +
                                 " are wanted; raise the hard limit (ulimit -Hn)");
}

Status restore_fd_limit(const FdLimit& limit) {
  rlimit value{};
  value.rlim_cur = limit.soft;
  value.rlim_max = limit.hard;
  if (::setrlimit(RLIMIT_NOFILE, &value) != 0) {
    return system_error("cannot set the limit of open descriptors to " + std::to_string(limit.soft),
                        errno);
  }
  return Status();
}

}  // namespace bolide::os

// needed_call: the error of a system call that bolide cannot do without, so that a sandbox which does
// not let it through is recognised as such.
#pragma once

#include <cerrno>
#include <string>

#include "base/status.h"

namespace bolide::os {

inline Status needed_call_failed(const std::string& what, const char* call, int error) {
  Status failed = system_error(what, error);
  if (error != EPERM && error != ENOSYS) return failed;
  return Status(failed.code(),
                failed.message() + ". This system refuses " + call +
                    ", which bolide needs; allow it in the container's seccomp profile, or use "
                    "Linux 5.4 or later",
                error);
}

}  // namespace bolide::os

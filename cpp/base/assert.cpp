// The failing side of the assertions in base/assert.h, kept out of line so that a check costs its
// caller one compare and one branch.
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace bolide {

void check_failed(const char* file, int line, const char* condition, const char* sentence) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", file, line, condition, sentence);
  std::fflush(stderr);
  std::abort();
}

}  // namespace bolide

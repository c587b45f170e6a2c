// Three levels of assertion: BOLIDE_CHECK, BOLIDE_DCHECK and BOLIDE_AUDIT.
//
// They are for states that only a bug of ours can produce. What a user, a peer process or the
// operating system can cause is a Status. A failed assertion prints file, line and its sentence to
// stderr and aborts: carrying on could pass wrong data to user code.
//
// Thread safety: may be used from any thread and in a forked child.
#pragma once

#include "base/api.h"

namespace bolide {

// Prints "file:line: check failed: condition: sentence" and aborts. Allocates nothing.
[[noreturn]] BOLIDE_API void check_failed(const char* file, int line, const char* condition,
                                          const char* sentence);

}  // namespace bolide

// Always on: for checks that cost nothing beside what they guard.
#define BOLIDE_CHECK(condition, sentence) \
  (static_cast<bool>(condition)           \
       ? static_cast<void>(0)             \
       : ::bolide::check_failed(__FILE__, __LINE__, #condition, sentence))

// The condition is compiled but never evaluated, so that a disabled check cannot rot.
#define BOLIDE_UNCHECKED(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))

// On in debug and sanitizer builds: for checks on the per-task path.
#ifdef BOLIDE_DEBUG_CHECKS
#define BOLIDE_DCHECK(condition, sentence) BOLIDE_CHECK(condition, sentence)
#else
#define BOLIDE_DCHECK(condition, sentence) BOLIDE_UNCHECKED(condition)
#endif

// On only where asked for: for walks over whole structures.
#ifdef BOLIDE_AUDIT_CHECKS
#define BOLIDE_AUDIT(condition, sentence) BOLIDE_CHECK(condition, sentence)
#else
#define BOLIDE_AUDIT(condition, sentence) BOLIDE_UNCHECKED(condition)
#endif

// FaultPlan: arms fault points for a scope. Tests that use it are compiled only with BOLIDE_FAULTS.
#pragma once

#include "base/fault.h"

#ifdef BOLIDE_FAULTS

#include "base/assert.h"

namespace support {

class FaultPlan {
 public:
  explicit FaultPlan(const char* text, uint64_t seed = 0) {
    BOLIDE_CHECK(bolide::fault::load(text, seed).is_ok(), "a test's fault plan must be readable");
  }
  ~FaultPlan() { static_cast<void>(bolide::fault::load("", 0).is_ok()); }
  FaultPlan(const FaultPlan&) = delete;
  FaultPlan& operator=(const FaultPlan&) = delete;
};

}  // namespace support

#endif

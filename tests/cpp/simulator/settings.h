// settings: everything about a run that follows from its seed, but for its course.
#pragma once

#include "simulated/template.h"
#include "simulator/driver.h"

namespace simulator {

struct Settings {
  Settings(uint64_t seed, bool traced);
  uint64_t seed;
  MachineSettings machine;
  TemplateSettings processes;
  bolide::node::NodeOptions node;
  Load load;
  Driver::Plan plan;
  uint64_t threads = 1;
  Nanos stop_after = 0;  // if set: the runtime is shut down then, whatever goes on
};

}  // namespace simulator

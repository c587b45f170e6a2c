// interrupt: how the node tells a worker that a task which it has begun is cancelled.
//
//   node:   interrupt      <- the task's sequence       (RingControl, written by the producer)
//           sends the worker's process a signal
//   worker: interrupt_seen <- what it read in interrupt (RingControl, written by the consumer)
//           and interrupts the task, if that is the one that runs
//
// The signal may come at any time: before the worker has got so far as to run the task (it then
// leaves interrupt_seen as it is), just before it sleeps in the kernel (which then does not wake
// it), or when the task is over. So the node sends it again until interrupt_seen has the sequence
// or the task's result has come; a second signal for a sequence that was seen changes nothing.
// There is one word, so the node writes the next sequence only after that.
#pragma once

#include <signal.h>

#include "ipc/ring.h"

namespace bolide::ipc {

// Ignored by default, so that a process that has not got so far as to handle it lives on.
inline constexpr int kInterruptSignal = SIGURG;

}  // namespace bolide::ipc

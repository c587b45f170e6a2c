"""The units that costs are divided by, each measured anew by every call.

They are not benchmarks of bolide: a unit says how fast this machine is at this moment, so a ratio
to it means the same on any machine. Thread safety: call them from one thread, with nothing else
running. Invariants: a unit is the best of at least five repetitions; all are in nanoseconds; None
says that this machine or this build cannot measure it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

REPETITIONS = 7

PLAIN_CALL = "plain call"
FUTEX = "futex round trip on one core"
MICROSECOND = "µs"


def _same(x: object) -> object:
    return x


def plain_call(turns: int = 200_000) -> float:
    """One turn of `for i in range(n): f(i)` with `def f(x): return x`."""
    f = _same
    best = float("inf")
    for _ in range(REPETITIONS):
        started = time.perf_counter_ns()
        for i in range(turns):
            f(i)
        best = min(best, time.perf_counter_ns() - started)
    return best / turns


def futex_round_trip() -> float | None:
    """Two processes that wake each other through futexes, both on one core: there and back once."""
    from bolide import _core

    measure: Callable[..., float] | None = getattr(_core, "futex_round_trip_ns", None)
    if measure is None:
        return None
    return min(measure(same_core=True) for _ in range(REPETITIONS))


def microsecond() -> float:
    """For budgets that the clock sets and not the machine."""
    return 1000.0


UNITS: dict[str, Callable[[], float | None]] = {
    PLAIN_CALL: plain_call,
    FUTEX: futex_round_trip,
    MICROSECOND: microsecond,
}

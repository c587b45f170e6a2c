"""`put`, `get` and `wait` without tasks in the timed part: small values, many references.

It is not about large arrays (test_store.py is). Invariants: every value is distinct, so a
remembered result would be a wrong one; memory is measured in a process of its own.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np
import pytest

from ..budgets import (
    FIRST_GET,
    FIRST_GET_SIZES,
    GET_SMALL,
    KILOBYTE,
    LIVE,
    LIVE_KINDS,
    PUT_SMALL,
    SMALL_KINDS,
    WAIT_LOOP,
)
from ..gauge import Gauge
from ..units import REPETITIONS
from .test_scale import report_of

SMALL = 10_000
REFS = 10_000
LIVE_OBJECTS = 1_000_000
MAKE = {
    "int": int,
    "str": "text {}".format,
    "bytes": lambda i: b"bytes %d" % i,
    "1 KiB of bytes": lambda i: i.to_bytes(1024, "little"),
    "1 KiB array": lambda i: np.full(128, i),
}


def are_equal(got: list, made: list) -> bool:
    """Whether two lists of values, or of arrays, are."""
    return all(np.array_equal(a, b) for a, b in zip(got, made, strict=True))


@pytest.fixture(scope="module", autouse=True)
def touched_memory() -> None:
    """What one repetition has freed stays with this process: the next one finds it touched."""
    trim_threshold = -1  # M_TRIM_THRESHOLD of malloc.h
    ctypes.CDLL(None).mallopt(trim_threshold, 1 << 30)


@pytest.mark.parametrize("kind", (*SMALL_KINDS, *KILOBYTE))
def test_get_small(gauge: Gauge, ray, kind: str) -> None:
    """`get` of values that this process put before."""
    values = [MAKE[kind](i) for i in range(SMALL)]
    refs = [ray.put(value) for value in values]

    def run() -> list:
        get = ray.get
        return [get(ref) for ref in refs]

    def check(results: list) -> None:
        assert are_equal(results, values)

    gauge.time(GET_SMALL.format(kind), run, check=check, per=SMALL)


@pytest.mark.parametrize("kind", (*SMALL_KINDS, *KILOBYTE))
def test_put_small(gauge: Gauge, ray, kind: str) -> None:
    """`put` of small values; the time is without the release of the references."""
    values = [MAKE[kind](i) for i in range(SMALL)]

    def run() -> list:
        put = ray.put
        return [put(value) for value in values]

    def check(refs: list) -> None:
        assert are_equal(ray.get(refs), values)

    gauge.time(PUT_SMALL.format(kind), run, check=check, per=SMALL)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", LIVE_KINDS)
def test_live_objects(gauge: Gauge, kind: str) -> None:
    """1,000,000 objects of 1 KiB at a time: what each takes beyond its data."""
    report = gauge.benchmark.pedantic(report_of, args=("live.py", LIVE_OBJECTS, kind), rounds=1)
    assert report["right"] == LIVE_OBJECTS
    beyond = report["growth"] / LIVE_OBJECTS - 1024
    gauge.record(LIVE.format(kind), beyond, f"{beyond:.0f} bytes")


@pytest.mark.parametrize("size", FIRST_GET_SIZES)
def test_first_get_in_another_process(gauge: Gauge, ray, size: str) -> None:
    """The first `get` in a process that did not make the object: it maps and does not copy."""

    @ray.remote
    def time_get(box):
        started = time.perf_counter()
        array = ray.get(box[0])
        seconds = time.perf_counter() - started
        return seconds, array.nbytes, int(array[0]), int(array[-1])

    nanoseconds: list[float] = []
    ray.get(time_get.remote([ray.put(np.arange(8))]))

    def run():
        array = np.arange(FIRST_GET_SIZES[size] // 8, dtype=np.int64)
        return ray.get(time_get.remote([ray.put(array)]))

    def check(answer) -> None:
        seconds, *facts = answer
        assert facts == [FIRST_GET_SIZES[size], 0, FIRST_GET_SIZES[size] // 8 - 1]
        nanoseconds.append(seconds * 1e9)

    if gauge.seconds(
        run, check=check
    ):  # its own times hold the put as well; the task's clock counts
        best = min(nanoseconds) / 1e3
        gauge.record(FIRST_GET.format(size), best, f"{best:.3g} µs", "measured inside the task")


def test_wait_loop(gauge: Gauge, ray) -> None:
    """Taking 10,000 results one by one with `wait`, beside the same loop of list slices."""

    @ray.remote
    def same(x):
        return x

    state: dict[str, list] = {}

    def submit() -> None:
        state["refs"] = [same.remote(i) for i in range(REFS)]

    def loop_of_wait() -> list:
        pending, taken = state["refs"], []
        while pending:
            ready, pending = ray.wait(pending, num_returns=1)
            taken += ready
        return taken

    others = [ray.put(i) for i in range(REFS)]

    def loop_of_slices() -> float:
        best = float("inf")
        for _ in range(REPETITIONS):
            pending, taken = others, []
            started = time.perf_counter_ns()
            while pending:
                ready, pending = pending[:1], pending[1:]
                taken += ready
            best = min(best, time.perf_counter_ns() - started)
        return best

    def check(taken: list) -> None:
        assert len(set(taken)) == REFS and set(taken) == set(state["refs"])
        assert sorted(ray.get(taken)) == list(range(REFS))

    gauge.time(WAIT_LOOP, loop_of_wait, check=check, setup=submit, unit=loop_of_slices)

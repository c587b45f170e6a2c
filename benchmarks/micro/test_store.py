"""Large arrays in the object store: in, out, and passed to many tasks.

It is not about small values (test_objects.py) nor about a store that is full (test_spilling.py).
Invariants: all memory that is read or copied was touched before, but where the first touch is what
is measured; an array changes before each `put`, and what is got is compared.
"""

from __future__ import annotations

import mmap
import threading
import time

import numpy as np
import pytest

from ..budgets import (
    ONE_COPY,
    PUT_COLD,
    PUT_RESIDENT,
    PUT_WARM,
    RESIDENT_SIZES,
    SECOND_GET,
    WARM_SIZES,
)
from ..gauge import Gauge, readable
from ..units import REPETITIONS

COLD_BYTES = 256 << 20
GIGABYTE = 1 << 30
TASKS = 1000


def touched(size: int) -> np.ndarray:
    """An array of that many bytes whose elements are all different."""
    return np.arange(size // 8, dtype=np.int64)


def best_of(measure, times: int = REPETITIONS) -> float:
    """The shortest of several times, in nanoseconds."""
    return min(measure() for _ in range(times))


def timed(run) -> float:
    """How many nanoseconds `run` takes."""
    started = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - started


@pytest.mark.parametrize("size", WARM_SIZES)
def test_put_warm(gauge: Gauge, ray, size: str) -> None:
    """`put` into pages that an earlier object left warm, beside one thread's memcpy of as much."""
    array = touched(WARM_SIZES[size])
    target = np.empty_like(array)
    target[:] = 1

    def memcpy() -> float:
        return best_of(lambda: timed(lambda: np.copyto(target, array)))

    def change() -> None:
        array[:: 1 << 16] += 1

    def check(ref) -> None:
        assert np.array_equal(ray.get(ref), array)

    gauge.time(
        PUT_WARM.format(size), lambda: ray.put(array), check=check, setup=change, unit=memcpy
    )


def test_put_cold(gauge: Gauge, ray) -> None:
    """`put` into memory that was never touched, beside touching as much in as many threads."""
    threads = 2  # as many as copy for `put`, on two cores
    array = touched(COLD_BYTES + REPETITIONS * mmap.PAGESIZE * 8)
    sizes = iter(range(COLD_BYTES, array.nbytes, 8 * mmap.PAGESIZE))

    def first_touch() -> float:
        memory = mmap.mmap(-1, COLD_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        parts = np.split(np.frombuffer(memory, dtype=np.int64), threads)
        source = np.split(array[: COLD_BYTES // 8], threads)
        crew = [
            threading.Thread(target=np.copyto, args=pair)
            for pair in zip(parts, source, strict=True)
        ]

        def touch() -> None:
            for thread in crew:
                thread.start()
            for thread in crew:
                thread.join()

        return timed(touch)

    def put() -> float:
        # Each is larger than the one before, whose memory has no room for it.
        part = array[: next(sizes) // 8]
        made = []
        nanoseconds = timed(lambda: made.append(ray.put(part)))
        assert np.array_equal(ray.get(made[0]), part)
        return nanoseconds

    unit, cost = best_of(first_touch), best_of(put)
    unit = min(unit, best_of(first_touch))
    gauge.record(PUT_COLD, unit / cost, readable(cost), f"unit: {readable(unit)}")


@pytest.mark.parametrize("size", RESIDENT_SIZES)
def test_put_resident(gauge: Gauge, ray, size: str) -> None:
    """`put` of an array that `bolide.empty` made in the store: nothing is copied."""
    elements = RESIDENT_SIZES[size] // 8
    drafts: list[np.ndarray] = []

    def make() -> None:
        drafts.append(ray.empty(elements, dtype=np.int64))
        drafts[-1][:] = 7

    def check(ref) -> None:
        drafts.clear()
        array = ray.get(ref)
        assert len(array) == elements and array[0] == array[-1] == 7

    gauge.time(PUT_RESIDENT.format(size), lambda: ray.put(drafts[0]), check=check, setup=make)


def test_second_get_reads_as_fast_as_private_memory(gauge: Gauge, ray) -> None:
    """`get` in a process that got the object before, and a sum over all of it; 1 GiB."""

    @ray.remote
    def read(box):
        first = ray.get(box[0])
        private = np.array(first)
        total = int(private.sum())

        def of_private() -> None:
            assert int(private.sum()) == total

        def of_object() -> None:
            assert int(ray.get(box[0]).sum()) == total

        of_object()  # the first get
        del first
        times = [(timed(of_object), timed(of_private)) for _ in range(REPETITIONS)]
        return total, min(time for time, _ in times), min(time for _, time in times)

    array = touched(GIGABYTE)
    total, cost, unit = ray.get(read.remote([ray.put(array)]))
    assert total == int(array.sum())
    gauge.record(SECOND_GET, cost / unit, readable(cost), f"unit: {readable(unit)}")


def test_one_copy_for_many_tasks(gauge: Gauge, ray) -> None:
    """A read-only array of 200 MB as the argument of 1,000 tasks: how many copies are stored."""
    from bolide import _runtime

    @ray.remote
    def ends(array):
        return int(array[0]) + int(array[-1])

    array = touched(200_000_000)
    array.flags.writeable = False

    def stored() -> int:
        return _runtime._node.stats()["store"]["live"]

    before = most = stored()
    refs = []
    for _ in range(TASKS):
        refs.append(ends.remote(array))
        most = max(most, stored())
    assert set(ray.get(refs)) == {len(array) - 1}
    copies = (most - before) / array.nbytes
    gauge.record(ONE_COPY, copies, f"{copies:.3f} copies")

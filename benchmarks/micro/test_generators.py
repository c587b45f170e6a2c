"""Items of a generator task: what one costs, and that a slow consumer needs no memory.

It is not about back-pressure that a user asks for. Invariants: the sum of the items is checked in
every repetition; the generator runs in a worker, and so does the consumer of the second benchmark.
"""

from __future__ import annotations

import os

import pytest

from ..budgets import STREAM_ITEM, STREAM_ITEM_IN_TASK, STREAM_MEMORY
from ..gauge import Gauge

ITEMS = 1_000_000
ITEMS_IN_TASK = 100_000
SETTLED = 100_000  # items after which memory is first looked at
WORK = 30  # turns of an empty loop for each item: the generator is faster


@pytest.fixture(scope="module")
def count(ray):
    """A generator of numbers, with its worker hot."""

    @ray.remote
    def count(n):
        yield from range(n)

    assert sum(ray.get(ref) for ref in count.remote(1000)) == 499_500
    return count


def test_item(gauge: Gauge, ray, count) -> None:
    """``for ref in count.remote(n): get(ref)`` in the driver."""

    def run() -> int:
        get = ray.get
        return sum(get(ref) for ref in count.remote(ITEMS))

    def check(total: int) -> None:
        assert total == ITEMS * (ITEMS - 1) // 2

    gauge.time(STREAM_ITEM, run, check=check, per=ITEMS, repetitions=5)


def test_item_taken_by_a_task(gauge: Gauge, ray, count) -> None:
    """The same in a task: the items go through the driver's process."""

    @ray.remote
    def consume(n):
        return sum(ray.get(ref) for ref in count.remote(n))

    def run() -> int:
        return ray.get(consume.remote(ITEMS_IN_TASK))

    def check(total: int) -> None:
        assert total == ITEMS_IN_TASK * (ITEMS_IN_TASK - 1) // 2

    gauge.time(STREAM_ITEM_IN_TASK, run, check=check, per=ITEMS_IN_TASK)


def test_memory(gauge: Gauge, ray, count) -> None:
    """The driver's resident memory while a slow consumer takes a million items."""
    grown: list[int] = []

    def run() -> int:
        total = first = most = 0
        for i, ref in enumerate(count.remote(ITEMS)):
            total += ray.get(ref)
            for _ in range(WORK):
                pass
            if i % SETTLED == SETTLED - 1:
                now = resident()
                first = first or now
                most = max(most, now - first)
        grown.append(most)
        return total

    def check(total: int) -> None:
        assert total == ITEMS * (ITEMS - 1) // 2

    if gauge.seconds(run, check=check, repetitions=1):
        mib = max(grown) / (1 << 20)
        gauge.record(STREAM_MEMORY, mib, f"{mib:.2f} MiB", f"after the first {SETTLED:,} items")


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

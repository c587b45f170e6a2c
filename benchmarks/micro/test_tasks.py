"""No-op tasks: one at a time, and 100,000 in flight.

They are not about scheduling: two workers, no resources, no dependencies. Invariants: results of
every repetition are compared, the cost includes the release of the references, and the tasks run
in workers.
"""

from __future__ import annotations

import os

import pytest

from ..budgets import AS_COMPLETED, TASK_SYNC, TASK_SYNC_FUTEX, TASKS_INT, TASKS_MIXED
from ..gauge import Gauge

ONE_BY_ONE = 3_000
IN_FLIGHT = 100_000


@pytest.fixture(scope="module")
def same(ray):
    """The no-op task, with its workers hot."""

    @ray.remote
    def same(x):
        return x

    assert ray.get([same.remote(i) for i in range(1000)]) == list(range(1000))
    return same


def test_tasks_run_in_workers_and_once(ray, tmp_path) -> None:
    """What the figures below rest on: user code runs outside of the driver, once for each call."""

    @ray.remote
    def note(x):
        with open(tmp_path / "calls", "ab", buffering=0) as calls:
            calls.write(b"%d %d\n" % (x, os.getpid()))
        return x

    assert ray.get([note.remote(i) for i in range(500)]) == list(range(500))
    lines = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert sorted(int(x) for x, _ in lines) == list(range(500))
    assert os.getpid() not in {int(pid) for _, pid in lines}


def test_task_sync(gauge: Gauge, ray, same) -> None:
    """Submit one, get it, again: a hot worker and a bounded spin."""

    def run() -> list[int]:
        get, remote = ray.get, same.remote
        return [get(remote(i)) for i in range(ONE_BY_ONE)]

    def check(results: list[int]) -> None:
        assert results == list(range(ONE_BY_ONE))

    gauge.time(TASK_SYNC, run, check=check, per=ONE_BY_ONE, also=(TASK_SYNC_FUTEX,))


def test_tasks_async_int(gauge: Gauge, ray, same) -> None:
    """100,000 submitted, then all of them fetched: one int argument."""

    def run() -> list[int]:
        remote = same.remote
        return ray.get([remote(i) for i in range(IN_FLIGHT)])

    def check(results: list[int]) -> None:
        assert results == list(range(IN_FLIGHT))

    gauge.time(TASKS_INT, run, check=check, per=IN_FLIGHT)


def test_tasks_async_mixed(gauge: Gauge, ray, same) -> None:
    """The same with the tuple `(i, "a")`."""

    def run() -> list[tuple[int, str]]:
        remote = same.remote
        return ray.get([remote((i, "a")) for i in range(IN_FLIGHT)])

    def check(results: list[tuple[int, str]]) -> None:
        assert results == [(i, "a") for i in range(IN_FLIGHT)]

    gauge.time(TASKS_MIXED, run, check=check, per=IN_FLIGHT)


def test_as_completed(gauge: Gauge, ray, same) -> None:
    """100,000 submitted, then taken in the order in which they end."""
    from bolide.util import as_completed

    def run() -> list[int]:
        remote = same.remote
        return list(as_completed([remote(i) for i in range(IN_FLIGHT)]))

    def check(results: list[int]) -> None:
        assert sorted(results) == list(range(IN_FLIGHT))

    gauge.time(AS_COMPLETED, run, check=check)

"""Many at once: queued tasks, a long stream, arguments, returns, references.

It is not about the speed of one task (test_tasks.py is). Invariants: memory is measured in a
process of its own that did nothing before, so that memory freed earlier cannot hide a growth; all
results are checked.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ..budgets import GET_MANY, MANY_ARGUMENTS, MANY_RETURNS, QUEUED, STREAMED
from ..gauge import Gauge, readable
from ..programs import FOLDER

QUEUED_TASKS = 1_000_000
ARGUMENTS = 10_000
RETURNS = 3_000


def report_of(program: str, count: int, *arguments: str) -> dict:
    """What a program of `benchmarks/programs` printed: it checks its own results."""
    command = [sys.executable, str(FOLDER / program), str(count), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, f"{program} {count} ended with exit code {done.returncode}"
    return json.loads(done.stdout.splitlines()[-1])


def run_once(gauge: Gauge, program: str, count: int) -> dict:
    """Memory and not time is the figure, so one run is enough."""
    return gauge.benchmark.pedantic(report_of, args=(program, count), rounds=1)


@pytest.mark.timeout(900)
def test_queued_behind_a_slow_task(gauge: Gauge) -> None:
    """1,000,000 tasks wait for one that is slow: memory a task, and all of them end well."""
    report = run_once(gauge, "queued.py", QUEUED_TASKS)
    assert report["right"] == QUEUED_TASKS
    bytes_a_task = report["growth"] / QUEUED_TASKS
    rate = f"drained at {readable(report['drain_seconds'] / QUEUED_TASKS * 1e9)} a task"
    gauge.record(QUEUED, bytes_a_task, f"{bytes_a_task:.0f} bytes", rate)


@pytest.mark.timeout(900)
def test_stream_has_flat_memory(gauge: Gauge, request: pytest.FixtureRequest) -> None:
    """Millions of tasks through a window: no growth of the driver after the first tenth."""
    count = request.config.getoption("--stream-tasks")
    report = run_once(gauge, "streamed.py", count)
    assert report["right"] == count
    growth = report["growth"] / 2**20
    rate = f"{count:,} tasks at {readable(report['seconds'] / count * 1e9)} each"
    gauge.record(STREAMED, growth, f"{growth:.1f} MiB", rate)


def test_many_arguments(gauge: Gauge, ray) -> None:
    """10,000 references as arguments of one task, each replaced by its value."""

    @ray.remote
    def add(*values):
        return len(values), sum(values)

    refs = [ray.put(i) for i in range(ARGUMENTS)]

    def check(answer: tuple[int, int]) -> None:
        assert answer == (ARGUMENTS, sum(range(ARGUMENTS)))

    gauge.time(MANY_ARGUMENTS, lambda: ray.get(add.remote(*refs)), check=check, per=ARGUMENTS)


def test_many_returns(gauge: Gauge, ray) -> None:
    """One task with 3,000 return values, all fetched."""

    @ray.remote(num_returns=RETURNS)
    def count():
        return list(range(RETURNS))

    def check(results: list[int]) -> None:
        assert results == list(range(RETURNS))

    gauge.time(MANY_RETURNS, lambda: ray.get(count.remote()), check=check, per=RETURNS)


def test_get_many(gauge: Gauge, ray) -> None:
    """One `get` of a list of 10,000 references whose values are there."""
    refs = [ray.put(i) for i in range(ARGUMENTS)]

    def check(results: list[int]) -> None:
        assert results == list(range(ARGUMENTS))

    gauge.time(GET_MANY, lambda: ray.get(refs), check=check, per=ARGUMENTS)

"""Recursion by nested tasks: its cost, and how many processes live while parents wait for
children.

It is not a sensible way to compute Fibonacci numbers. Invariant: processes are counted from
outside, so that counting takes nothing from the driver's threads; the driver itself counts as one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ..budgets import FIB, FIB_PROCESSES
from ..gauge import Gauge, readable
from ..programs import FOLDER
from ..units import plain_call

SECONDS_BETWEEN_COUNTS = 0.02
FIB_OF = 18
ANSWER = 2584
TASKS = 8361  # calls of the recursion fib(18)
REPETITIONS = 5


def test_fib(gauge: Gauge) -> None:
    """fib(18): at most 32 processes at any time."""
    counts: list[int] = []

    def run() -> str:
        command = [sys.executable, str(FOLDER / "fib.py"), str(FIB_OF)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            while driver.poll() is None:
                counts.append(count_tree(driver.pid))
                time.sleep(SECONDS_BETWEEN_COUNTS)
            assert driver.stdout is not None
            return driver.stdout.read()

    def check(output: str) -> None:
        assert output.split() == [str(ANSWER)]

    unit = plain_call()
    seconds = gauge.seconds(run, check=check, repetitions=REPETITIONS)
    most = max(counts)
    gauge.record(FIB_PROCESSES, most, f"{most}", f"counted {len(counts)} times")
    if seconds:
        cost = min(seconds) / TASKS * 1e9
        gauge.record(FIB, cost / min(unit, plain_call()), readable(cost), "start and stop included")


def count_tree(root: int) -> int:
    """How many processes descend from `root`, itself and zombies included."""
    parent_of: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    parent_of[int(name)] = int(stat.read().rpartition(b")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
    children: dict[int, list[int]] = {}
    for pid, parent in parent_of.items():
        children.setdefault(parent, []).append(pid)
    found, queue = 0, [root]
    while queue:
        found += 1
        queue += children.get(queue.pop(), [])
    return found

"""Fixtures of the fault tests: a runtime that must leave nothing behind, journals, gates, programs.

The leak check here is small: processes, descriptors and threads of this process after shutdown.
"""

from __future__ import annotations

import os
import threading

import psutil
import pytest
from fault_tools import Gate, Journal, Program, wait_until

import bolide


def live_children():
    return psutil.Process().children(recursive=True)


def descriptors():
    """What the open descriptors of this process refer to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # the one that lists them
            continue
    return sorted(found)


class Runtime:
    """bolide, started; with the numbers that the tests look at."""

    def __init__(self, **options):
        bolide.init(**options)
        self.node = bolide._runtime._node

    def __getattr__(self, name):
        return getattr(bolide, name)

    @property
    def stats(self):
        return self.node.stats()

    @property
    def retries(self):
        return self.stats["retries"]

    def pids(self):
        return self.node.worker_pids()


@pytest.fixture
def start():
    """`start(num_cpus=2, ...)` gives a Runtime; what it leaves after shutdown is an error."""
    bolide.shutdown()
    children = live_children()
    fds, threads = descriptors(), threading.active_count()
    yield Runtime
    bolide.shutdown()
    wait_until(lambda: live_children() == children, 5, "the end of all processes")
    left = [fd for fd in descriptors() if fd not in fds]
    assert len(descriptors()) <= len(fds), left
    assert threading.active_count() <= threads


@pytest.fixture
def one(start):
    """A runtime with one CPU."""
    return start(num_cpus=1)


@pytest.fixture
def two(start):
    """A runtime with two CPUs."""
    return start(num_cpus=2)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path / "gate")
    yield made
    made.close()


@pytest.fixture
def program(tmp_path):
    """`program(source, ...)` starts a driver of its own; it and its family end with the test."""
    made = []

    def run(source, **options):
        made.append(Program(tmp_path, source, **options))
        return made[-1]

    yield run
    for each in made:
        each.end()

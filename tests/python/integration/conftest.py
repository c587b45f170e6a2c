"""Fixtures of the integration tests: what tests and tasks wait for each other with, and the node.

The fixture `ray`, a running bolide, and the leak gate around every test are one folder up.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time

import pytest

import bolide
from bolide import _runtime

from .support import Channel, Journal, Latch

_FOLDERS = ("integration", "placement_groups")


def pytest_collection_modifyitems(items):
    """A test here that takes a minute hangs."""
    for item in items:
        if item.path.parent.name in _FOLDERS and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(60))


@pytest.fixture
def local():
    """bolide in local mode. What a test leaves is dropped with the session."""
    bolide.init(num_cpus=2, local_mode=True)
    yield bolide
    bolide.shutdown()


@pytest.fixture
def make_latch(tmp_path):
    """`make_latch()` gives a new closed Latch; all are opened when the test is over."""
    latches = []

    def make():
        latches.append(Latch.make(str(tmp_path / f"latch{len(latches)}")))
        return latches[-1]

    yield make
    for latch in latches:
        latch.open()


@pytest.fixture
def latch(make_latch):
    """One closed Latch."""
    return make_latch()


@pytest.fixture
def channel(tmp_path):
    """A Channel from tasks to the test."""
    made = Channel.make(str(tmp_path / "channel"))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path):
    """A Journal that tasks append to."""
    return Journal(str(tmp_path / "journal"))


@pytest.fixture
def eventually():
    """`eventually(look, wanted)` asserts that look() becomes `wanted` within two seconds."""

    def check(look, wanted):
        deadline = time.monotonic() + 2
        while (found := look()) != wanted and time.monotonic() < deadline:
            gc.collect()
        assert found == wanted

    return check


@pytest.fixture
def stats():
    """`stats()` is what the running node counts."""
    return lambda: _runtime._node.stats()


@pytest.fixture
def run_script(tmp_path):
    """`run_script(source, *options)` runs a program and gives its CompletedProcess."""

    def run(source, *options):
        path = tmp_path / "script.py"
        path.write_text(source, encoding="utf-8")
        command = [sys.executable, *options, str(path)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path
        )

    return run


@pytest.fixture
def sleepy(ray, channel):
    """A task that says "in" and sleeps until it is cancelled."""

    @ray.remote
    def sleepy(*_):
        channel.say("in")
        time.sleep(1000)

    return sleepy


@pytest.fixture
def count(ray):
    """A remote generator of the numbers below n."""

    @ray.remote
    def count(n):
        yield from range(n)

    return count

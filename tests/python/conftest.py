"""Fixtures of all Python tests: the leak gate around each, and a runtime for those that ask.

Every test runs inside the gate, so a test that starts the runtime itself, or in a process of its
own, is held to the same rule. A runtime that a test leaves running is checked and shut down here.
"""

from __future__ import annotations

import pytest

import bolide
from bolide import _core
from bolide.testing import idle_problems, leak_gate


def pytest_collection_modifyitems(items):
    """Leaves out the tests of fault points where the build has none."""
    if getattr(_core, "has_faults", False):
        return
    skip = pytest.mark.skip(
        reason="this build has no fault points; install with -Ccmake.define.BOLIDE_FAULTS=ON"
    )
    for item in items:
        if item.get_closest_marker("fault_points"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def leaves_nothing(request):
    """Fails a test that leaves a process, descriptor, thread, mapping or object behind."""
    with leak_gate():
        yield
        request.node.funcargs.clear()  # what other fixtures gave may hold references
        problems = []
        if bolide.is_initialized():
            problems = idle_problems()
            bolide.shutdown()
        assert not problems, "the idle runtime still holds: " + "; ".join(problems)


@pytest.fixture
def ray(leaves_nothing):
    """bolide, initialised with two CPUs; shut down, and its tables checked, by the gate."""
    bolide.init(num_cpus=2)
    return bolide

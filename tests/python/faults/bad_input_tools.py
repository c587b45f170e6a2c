"""What the tests of bad input share. Not a test itself."""

from __future__ import annotations

import os

from fault_tools import wait_until

import bolide


@bolide.remote
def same(model):
    return model


@bolide.remote
def pid(*_):
    return os.getpid()


def goes_on(runtime, worker=None):
    """The runtime works and nothing is left in flight; the worker is the same one if given."""
    assert runtime.get(same.remote(7), timeout=30) == 7
    wait_until(lambda: runtime.stats["tasks"] == 0)
    if worker is not None:
        assert runtime.get(pid.remote(), timeout=30) == worker

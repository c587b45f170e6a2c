"""`ref._on_completed(callback)`: what libraries for Ray use in place of a thread that waits."""

from __future__ import annotations

import queue

import pytest


@pytest.mark.parametrize("fails", [False, True])
def test_a_callback_gets_the_value_or_the_exception(ray, latch, fails):
    @ray.remote
    def work():
        latch.wait()
        if fails:
            raise KeyError("k")
        return 5

    got = queue.SimpleQueue()
    ref = work.remote()
    ref._on_completed(got.put)
    assert got.empty()
    latch.open()
    found = got.get(timeout=30)
    assert isinstance(found, KeyError) if fails else found == 5
    ref._on_completed(got.put)  # it is ready
    assert type(got.get(timeout=30)) is type(found)

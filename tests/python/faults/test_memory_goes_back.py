"""Memory of dropped objects goes back to the system, whoever wrote them and whatever they do."""

from __future__ import annotations

import numpy
import pytest
from fault_tools import pass_gate, wait_until

import bolide
from bolide.testing import _processes as proc

MIB = 1 << 20
WARM = 64 * MIB  # what the node keeps of empty chunks


@bolide.remote
def ones(mib):
    return numpy.ones(mib * MIB // 8)


@bolide.remote
def waits(path):
    pass_gate(path)


def settles(runtime, seconds=2.0):
    """Fails unless the store is back to its warm memory in time."""
    wait_until(
        lambda: runtime.stats["store"]["touched"] <= WARM and runtime.stats["store"]["live"] == 0,
        seconds,
        "the return of memory",
    )


def test_of_objects_that_the_driver_put(one):
    before = proc.shared_memory()
    for _ in range(3):
        refs = [one.put(numpy.ones(100 * MIB // 8)) for _ in range(3)]
        assert one.stats["store"]["live"] >= 300 * MIB
        del refs
        settles(one)
    assert proc.shared_memory() - before <= WARM + 16 * MIB


def test_of_results_of_idle_workers(two):
    before = proc.shared_memory()
    refs = [ones.remote(50) for _ in range(6)]
    assert all(two.get(ref)[-1] == 1 for ref in refs)
    del refs
    settles(two)
    assert proc.shared_memory() - before <= WARM + 16 * MIB


def test_of_results_of_a_worker_that_has_gone_on_to_a_long_task(one, gate):
    """The worker must not be waited for: its attendant gives the memory back."""
    ref = ones.remote(200)
    assert one.get(ref)[0] == 1
    busy = waits.remote(gate.path)
    wait_until(lambda: one.stats["ready"] == 0, what="the start of the long task")
    del ref
    settles(one)
    assert one.stats["completed"] == 1
    gate.open()
    one.get(busy)


def test_of_small_objects(one):
    refs = [one.put(numpy.full(2000, i)) for i in range(10_000)]
    assert one.stats["store"]["live"] >= 160_000_000
    assert (one.get(refs[777]) == 777).all()
    del refs
    settles(one)


@pytest.mark.parametrize("of", ["driver", "worker"])
def test_what_was_kept_warm_is_used_again(one, of):
    make = ones.remote if of == "worker" else lambda mib: one.put(numpy.ones(mib * MIB // 8))
    one.get(make(40))
    wait_until(lambda: one.stats["store"]["live"] == 0, what="the end of the first")
    chunks = one.stats["store"]["chunks"]
    for _ in range(5):
        ref = make(40)
        one.wait([ref])
        assert one.stats["store"]["chunks"] == chunks
        del ref
        wait_until(lambda: one.stats["store"]["live"] == 0, what="the end of the next")

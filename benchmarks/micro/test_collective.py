"""allreduce of 100 MB among four actors, against what memory allows.

The bound counts bytes. With n members of S bytes each, whose memory is their own, all data passes
through the store: each member writes the parts of the others there (n-1)/n S, reads its part of
all arrays, S, writes that part, reduced, to the store and to its own array, 2 S/n, and copies the
parts of the others (n-1)/n S. That is (3n - 2) S read and 2n S written in all; a copy reads and
writes each byte, so the bound is the time of copying (5n - 2)/2 S, with as many threads as there
are cores, measured right before and after. Invariant: the sums of every repetition are compared.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from ..budgets import ALLREDUCE
from ..gauge import Gauge

MEMBERS = 4
SIZE = 100_000_000  # bytes
COPIED = (5 * MEMBERS - 2) / 2 * SIZE
BLOCK = 64 << 20


@pytest.fixture(scope="module")
def members(ray):
    """Four actors of a group, each with an array."""
    pytest.importorskip("numpy")

    @ray.remote
    class Member:
        def __init__(self, rank):
            from bolide.util import collective

            self.collective = collective
            collective.init_collective_group(MEMBERS, rank)
            self.array = np.ones(SIZE // 4, np.float32)

        def allreduce(self):
            self.collective.allreduce(self.array)
            return float(self.array[0]), float(self.array[-1])

        def reset(self):
            self.array[:] = 1

        def leave(self):
            self.collective.destroy_collective_group()

    actors = [Member.remote(rank) for rank in range(MEMBERS)]
    ray.get([actor.reset.remote() for actor in actors])
    yield actors
    ray.get([actor.leave.remote() for actor in actors])


def memory_bound() -> float:
    """Nanoseconds in which COPIED bytes are copied by all cores."""
    cores = len(os.sched_getaffinity(0))
    pairs = [(np.ones(BLOCK // 8), np.ones(BLOCK // 8)) for _ in range(cores)]
    best = float("inf")
    for _ in range(5):
        threads = [threading.Thread(target=np.copyto, args=pair) for pair in pairs]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = min(best, time.perf_counter() - began)
    return best * 1e9 * COPIED / (BLOCK * cores)


@pytest.mark.timeout(300)
def test_allreduce(gauge: Gauge, ray, members) -> None:
    """One allreduce of all four."""

    def setup() -> None:
        ray.get([member.reset.remote() for member in members])

    def run() -> list[tuple[float, float]]:
        return ray.get([member.allreduce.remote() for member in members])

    def check(results: list[tuple[float, float]]) -> None:
        assert results == [(MEMBERS, MEMBERS)] * MEMBERS

    gauge.time(ALLREDUCE, run, check=check, setup=setup, unit=memory_bound)

"""More data than the object store holds, pushed through a map-reduce: the disk has to be the limit.

Invariants: the sums prove that every piece came back as it was; the disk's own rate is measured in
the same run, by one process that writes a file of the same size and waits for fdatasync. The rate
is that of the data by the time of the whole program. Two thirds of the data at least have to leave
memory and come back, so the program moves 4/3 of it; what the kernel still has in memory of the
files when the program ends is not waited for, as nobody will need it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from ..budgets import SPILL
from ..gauge import REPETITIONS, Gauge

STORE = 256 << 20
BLOCKS = 48  # of 16 MiB: three times the store
BLOCK = 16 << 20
PARTS = 8


@pytest.fixture
def small_store(tmp_path) -> Iterator:
    """A runtime with two workers and little memory for objects."""
    import bolide

    bolide.init(num_cpus=2, object_store_memory=STORE, object_spilling_directory=str(tmp_path))
    yield bolide
    bolide.shutdown()


def test_map_reduce_of_three_times_the_store(gauge: Gauge, small_store, tmp_path) -> None:
    """The data's size by the time that it takes, beside the rate of a sequential write."""
    ray = small_store

    @ray.remote(num_returns=PARTS)
    def split(seed):
        return np.split(np.arange(BLOCK // 8, dtype=np.int64) * (seed + 1), PARTS)

    @ray.remote
    def total(*pieces):
        return sum(int(piece.sum()) for piece in pieces)

    def run() -> list[int]:
        pieces = [split.remote(seed) for seed in range(BLOCKS)]
        return ray.get([total.remote(*(block[i] for block in pieces)) for i in range(PARTS)])

    size = BLOCK // 8 // PARTS
    weight = BLOCKS * (BLOCKS + 1) // 2
    expected = [weight * sum(range(i * size, (i + 1) * size)) for i in range(PARTS)]
    disk, rate = 0.0, 0.0
    for _ in range(REPETITIONS):
        disk = max(disk, sequential_rate(tmp_path))
        started = time.perf_counter()
        assert run() == expected
        rate = max(rate, BLOCKS * BLOCK / (time.perf_counter() - started))
    cost = f"{rate / 2**20:.0f} MiB/s, disk {disk / 2**20:.0f} MiB/s"
    gauge.record(SPILL, rate / disk, cost)


def sequential_rate(folder) -> float:
    """Bytes a second that one process writes, until they are on the disk."""
    block = os.urandom(8 << 20)
    path = folder / "sequential"
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(BLOCKS * BLOCK // len(block)):
            file.write(block)
        os.fdatasync(file.fileno())
    rate = BLOCKS * BLOCK / (time.perf_counter() - started)
    path.unlink()
    return rate

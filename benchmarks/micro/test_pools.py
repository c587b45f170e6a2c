"""Pool.map beside multiprocessing's, Executor beside ProcessPoolExecutor.

They are not about long tasks. Invariants: bolide and its peer run in turn on lists of the same
items, results are compared, and the ratio is the median of the pairs.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import bolide
from bolide.util.multiprocessing import Pool

from ..budgets import EXECUTOR, POOL_MAP, POOL_MAP_SMALL
from ..gauge import Gauge, readable

PAIRS = 15
ITEMS = list(range(100_000))
SUBMITTED = 5_000


def same(x: int) -> int:
    return x


def small(x: int) -> int:
    return (x * x + 1) % 7


def compare(
    gauge: Gauge, name: str, ours: Callable[[], Any], peers: Callable[[], Any], answer: Any
) -> None:
    """Times both in turn and adds the row: how many times faster ours is."""
    assert peers() == answer
    seconds_of_peer: list[float] = []

    def run_peer() -> None:
        started = time.perf_counter()
        peers()
        seconds_of_peer.append(time.perf_counter() - started)

    def check(result: Any) -> None:
        assert result == answer

    seconds = gauge.seconds(ours, check=check, setup=run_peer, repetitions=PAIRS)
    if seconds:
        pairs = zip(seconds_of_peer[-len(seconds) :], seconds, strict=True)
        ratio = statistics.median(peer / our for peer, our in pairs)
        note = (
            f"median of {PAIRS} pairs, peer: {readable(statistics.median(seconds_of_peer) * 1e9)}"
        )
        gauge.record(name, ratio, readable(statistics.median(seconds) * 1e9), note)


@pytest.mark.parametrize(
    "name, function", [(POOL_MAP, same), (POOL_MAP_SMALL, small)], ids=["same", "small"]
)
def test_pool_map(gauge: Gauge, ray: Any, name: str, function: Callable[[int], int]) -> None:
    """Chunks of the default size, over a list."""
    with multiprocessing.Pool(2) as theirs, Pool(2) as ours:
        compare(
            gauge,
            name,
            lambda: ours.map(function, ITEMS),
            lambda: theirs.map(function, ITEMS),
            [function(x) for x in ITEMS],
        )


def test_executor(gauge: Gauge, ray: Any) -> None:
    """Many small calls, each with a future."""

    def run(executor: Any) -> list[int]:
        return [f.result() for f in [executor.submit(same, i) for i in range(SUBMITTED)]]

    with ProcessPoolExecutor(2) as theirs, bolide.Executor(2) as ours:
        compare(gauge, EXECUTOR, lambda: run(ours), lambda: run(theirs), ITEMS[:SUBMITTED])

"""How each peer runs a task, and two programs over it; `table.py` starts them as processes of
their own.

It is not a comparison of everything that these libraries do: one no-op task, at once or many in
flight. Nothing is chunked, because a task of real work would not be. Thread safety: one peer lives
in a process. Invariants: every result is checked; only the chosen peer is imported; two worker
processes each.

    python -m benchmarks.peers.adapters NAME first    prints the results of ten tasks
    python -m benchmarks.peers.adapters NAME tasks    prints JSON, in nanoseconds
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

WORKERS = 2


class Peer(NamedTuple):
    """A running pool: `run(values)` submits a task for each value and returns the results."""

    run: Callable[[range], list]
    stop: Callable[[], Any]


class Entry(NamedTuple):
    """A peer that can be started; `module` says whether it is installed."""

    module: str
    start: Callable[[], Peer]
    in_flight: int  # about a second's worth


def multiply(x: int) -> int:
    """The task of the first program."""
    return x * 2


def _start_bolide() -> Peer:
    import bolide

    bolide.init(num_cpus=WORKERS)
    task = bolide.remote(multiply)
    return Peer(lambda values: bolide.get([task.remote(x) for x in values]), bolide.shutdown)


def _start_ray() -> Peer:
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="error")
    task = ray.remote(multiply)
    return Peer(lambda values: ray.get([task.remote(x) for x in values]), ray.shutdown)


def _start_futures() -> Peer:
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(WORKERS)

    def run(values: range) -> list:
        futures = [pool.submit(multiply, x) for x in values]
        return [future.result() for future in futures]

    return Peer(run, pool.shutdown)


def _start_pool() -> Peer:
    from multiprocessing import Pool

    pool = Pool(WORKERS)

    def run(values: range) -> list:
        pending = [pool.apply_async(multiply, (x,)) for x in values]
        return [result.get() for result in pending]

    return Peer(run, pool.terminate)


def _start_joblib() -> Peer:
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=WORKERS, batch_size=1, pre_dispatch="all")
    parallel.__enter__()

    def run(values: range) -> list:
        return parallel(delayed(multiply)(x) for x in values)

    return Peer(run, lambda: parallel.__exit__(None, None, None))


def _start_dask() -> Peer:
    from dask.distributed import Client

    client = Client(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None)

    def run(values: range) -> list:
        return client.gather([client.submit(multiply, x, pure=False) for x in values])

    return Peer(run, client.close)


PEERS: dict[str, Entry] = {
    "bolide": Entry("bolide", _start_bolide, 100_000),
    "concurrent.futures": Entry("concurrent.futures", _start_futures, 5_000),
    "multiprocessing.Pool": Entry("multiprocessing", _start_pool, 10_000),
    "joblib": Entry("joblib", _start_joblib, 2_000),
    "dask.distributed": Entry("distributed", _start_dask, 1_000),
    "ray": Entry("ray", _start_ray, 5_000),
}


def first(peer: Peer) -> None:
    """Ten tasks, as in the first program of README.md."""
    print(peer.run(range(10)))


def tasks(peer: Peer, in_flight: int) -> None:
    """The time of one task: submitted and awaited one by one, and of one among many."""
    import json
    import time

    from ..units import plain_call

    def seconds(repeat: int, values: range) -> float:
        started = time.perf_counter()
        for _ in range(repeat):
            results = peer.run(values)
        taken = time.perf_counter() - started
        if results != [x * 2 for x in values]:
            raise SystemExit("A result is wrong.")
        return taken

    seconds(1, range(200))  # start the workers
    before = plain_call()
    one_by_one = min(seconds(100, range(1)) for _ in range(5)) / 100
    together = min(seconds(1, range(in_flight)) for _ in range(5)) / in_flight
    unit = min(before, plain_call())
    print(json.dumps({"plain call": unit, "sync": one_by_one * 1e9, "async": together * 1e9}))


def main(name: str, program: str) -> None:
    """Run one program over one peer."""
    entry = PEERS[name]
    peer = entry.start()
    try:
        first(peer) if program == "first" else tasks(peer, entry.in_flight)
    finally:
        peer.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

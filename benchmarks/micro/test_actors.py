"""Calls of actors: one at a time, many in flight, from many callers, as coroutines; and a thousand
actors.

They are not about scheduling. Invariants: results of every repetition are compared, calls run in
the actor's process, and the cost includes the release of the references.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from ..budgets import (
    ACTOR_ASYNC,
    ACTOR_CREATION,
    ACTOR_MANY,
    ACTOR_MEMORY,
    ACTOR_SUSPENDED,
    ACTOR_SYNC,
)
from ..gauge import Gauge, readable
from ..units import plain_call
from .test_scale import run_once

ONE_BY_ONE = 3_000
IN_FLIGHT = 100_000
CALLERS = 4
CALLS_OF_EACH = 5_000
COROUTINES = 1_000
ACTORS = 1_000


@pytest.fixture(scope="module")
def actor(ray):
    """An actor of a no-op method, hot."""

    @ray.remote
    class Same:
        def same(self, x):
            return x

        def pid(self):
            return os.getpid()

    actor = Same.remote()
    assert ray.get([actor.same.remote(i) for i in range(1000)]) == list(range(1000))
    assert ray.get(actor.pid.remote()) != os.getpid()
    return actor


def test_actor_sync(gauge: Gauge, ray, actor) -> None:
    """Call, get, again."""

    def run() -> list[int]:
        get = ray.get
        return [get(actor.same.remote(i)) for i in range(ONE_BY_ONE)]

    def check(results: list[int]) -> None:
        assert results == list(range(ONE_BY_ONE))

    gauge.time(ACTOR_SYNC, run, check=check, per=ONE_BY_ONE)


def test_actor_async(gauge: Gauge, ray, actor) -> None:
    """100,000 calls, then all results."""

    def run() -> list[int]:
        return ray.get([actor.same.remote(i) for i in range(IN_FLIGHT)])

    def check(results: list[int]) -> None:
        assert results == list(range(IN_FLIGHT))

    gauge.time(ACTOR_ASYNC, run, check=check, per=IN_FLIGHT)


def test_actors_n_to_n(gauge: Gauge, ray) -> None:
    """Four tasks call four actors, each all of them in turn."""

    @ray.remote
    class Same:
        def same(self, x):
            return x

    @ray.remote(num_cpus=0)
    def call(actors):
        refs = [actors[i % len(actors)].same.remote(i) for i in range(CALLS_OF_EACH)]
        return sum(ray.get(refs))

    actors = [Same.remote() for _ in range(CALLERS)]
    ray.get([actor.__ray_ready__.remote() for actor in actors])

    def run() -> list[int]:
        return ray.get([call.remote(actors) for _ in range(CALLERS)])

    def check(results: list[int]) -> None:
        assert results == [CALLS_OF_EACH * (CALLS_OF_EACH - 1) // 2] * CALLERS

    gauge.time(ACTOR_MANY, run, check=check, per=CALLERS * CALLS_OF_EACH)


async def suspend(x: int) -> int:
    """A coroutine that really waits."""
    await asyncio.sleep(0.001)
    return x


def test_actor_coroutines(gauge: Gauge, ray) -> None:
    """1,000 calls in flight that suspend, against the same coroutines without bolide."""

    @ray.remote
    class Suspends:
        async def suspend(self, x):
            await asyncio.sleep(0.001)
            return x

    actor = Suspends.remote()
    ray.get(actor.__ray_ready__.remote())

    def run() -> list[int]:
        return ray.get([actor.suspend.remote(i) for i in range(COROUTINES)])

    def check(results: list[int]) -> None:
        assert results == list(range(COROUTINES))

    gauge.time(ACTOR_SUSPENDED, run, check=check, per=COROUTINES, unit=bare_coroutine)


def bare_coroutine() -> float:
    """One of the coroutines under bare asyncio, and 20 plain calls, weighed as the budget does."""

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*[suspend(i) for i in range(COROUTINES)])

    best = float("inf")
    for _ in range(7):
        loop = asyncio.new_event_loop()
        try:
            began = loop.time()
            assert loop.run_until_complete(all_of_them()) == list(range(COROUTINES))
            best = min(best, loop.time() - began)
        finally:
            loop.close()
    return best / COROUTINES * 1e9 + 20 / 1.3 * plain_call()


@pytest.mark.timeout(300)
def test_a_thousand_actors(gauge: Gauge) -> None:
    """1,000 live actors: how long each takes, and their memory."""
    report = run_once(gauge, "many_actors.py", ACTORS)
    assert report["right"] == ACTORS
    each = report["seconds"] / ACTORS
    gauge.record(ACTOR_CREATION, each * 1e6, readable(each * 1e9))
    gauge.record(ACTOR_MEMORY, report["memory"] / 2**20, f"{report['memory'] / 2**20:.0f} MiB")

"""cancel at every moment: while a task begins, runs, imports or ends, and from many threads."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import bolide
from bolide.exceptions import TaskCancelledError

from .cancelled import assert_cancelled


def outcome(ref):
    try:
        return bolide.get(ref)
    except TaskCancelledError as error:
        return error.error_message.rpartition(" that ")[2]


def spin(microseconds):
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass


@pytest.mark.slow
def test_cancel_races_completion(ray, stats):
    """10,000 cancellations at every moment of a task's life: no hang, no second run, no leak."""
    seeds = random.Random(1)

    @ray.remote(max_retries=-1, retry_exceptions=True)
    def quick(i, microseconds):
        spin(microseconds)
        return i

    ray.get([quick.remote(i, 1000) for i in range(50)])  # both workers have imported this module
    patience = 150
    for i in range(10_000):
        ref = quick.remote(i, seeds.randrange(100))
        spin(seeds.randrange(patience))
        ray.cancel(ref)
        got = outcome(ref)
        assert got in (i, "had not begun.", "was running.")
        patience += -3 if got == i and patience > 10 else 1  # however fast this machine is
    assert stats()["retries"] == 0
    assert stats()["tasks"] == 0


@pytest.mark.slow
def test_cancel_at_every_moment_of_a_task_that_runs(ray, channel, stats):
    seeds = random.Random(1)

    @ray.remote(max_retries=-1, retry_exceptions=True)
    def slow(i):
        channel.say(i)
        return [str(n) for n in range(10_000_000)][i]

    for i in range(1000):
        ref = slow.remote(i)
        channel.hear()
        spin(seeds.randrange(300))
        ray.cancel(ref)
        assert outcome(ref) == "was running."
    assert stats()["retries"] == 0
    assert stats()["tasks"] == 0


def test_an_interrupted_import_ends_its_worker(ray, channel, tmp_path, monkeypatch):
    """It leaves a module half made, which the next task must not see."""
    (tmp_path / "slow_module.py").write_text(
        "import builtins\n"
        "builtins.say('in')\n"
        "class Slow:\n"
        "    def __set_name__(self, owner, name):\n"  # what it raises becomes a RuntimeError
        "        builtins.sleep(1000)\n"
        "class User:\n"
        "    attribute = Slow()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    @ray.remote
    def use(slow):
        import builtins

        builtins.say = channel.say
        builtins.sleep = time.sleep if slow else lambda _: None
        import slow_module

        return os.getpid(), slow_module.User.__name__

    ref = use.remote(True)
    channel.hear()
    ray.cancel(ref)
    assert_cancelled(ref, "was running")
    for _ in range(5):
        assert ray.get(use.remote(False))[1] == "User"


@pytest.mark.slow
def test_cancel_from_many_threads(ray):
    @ray.remote
    def quick(i):
        return i

    def work(first):
        for i in range(first, first + 300):
            refs = [quick.remote(i) for _ in range(3)]
            ray.cancel(refs[i % 3])
            assert all(outcome(ref) in (i, "had not begun.", "was running.") for ref in refs)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(0, 8_000, 1_000)))


class Nests:
    """Some of its calls wait for a task, so that those behind them are put aside."""

    def work(self, x, nested):
        return bolide.get(nested[0]) + x if nested else x


class NestsAsync:
    async def work(self, x, nested):
        return await nested[0] + x if nested else x


@pytest.mark.parametrize("kind", ["in order", "threads", "coroutines"])
def test_cancel_of_calls_of_an_actor_at_every_moment(ray, kind):
    @ray.remote
    def zero():
        return 0

    cls = ray.remote(NestsAsync if kind == "coroutines" else Nests)
    actor = cls.options(max_concurrency=2 if kind == "threads" else None).remote()
    chance = random.Random(4711)
    for _ in range(150):
        nested = [[zero.remote()] if chance.random() < 0.3 else [] for _ in range(10)]
        refs = [actor.work.remote(i, nested[i]) for i in range(10)]
        cancelled = chance.sample(range(10), 3)
        for i in cancelled:
            ray.cancel(refs[i])
        for i, ref in enumerate(refs):
            try:
                assert ray.get(ref) == i
            except TaskCancelledError:
                assert i in cancelled
    assert ray.get(actor.work.remote(5, [])) == 5

"""Actors that run calls in threads, and concurrency groups of threads and of coroutines.

Ray's pages "Threaded Actors" and "Limiting Concurrency Per-Method with Concurrency Groups".

No test sleeps: calls meet at events, barriers and latches.
"""

from __future__ import annotations

import asyncio
import threading

import numpy
import pytest

import bolide
from bolide.exceptions import ActorDiedError

# ---- threads


@bolide.remote(max_concurrency=3)
class Threaded:
    def __init__(self):
        self.barrier = threading.Barrier(3)
        self.lock = threading.Lock()
        self.running = self.most = 0

    def meet(self):
        return self.barrier.wait(30)

    def work(self, latch):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        latch.wait()
        with self.lock:
            self.running -= 1

    def found(self):
        return self.most

    def fail(self):
        raise KeyError("bad")

    def main(self):
        return threading.current_thread() is threading.main_thread()


def test_threaded_actors_run_calls_in_threads(ray):
    actor = Threaded.remote()
    assert sorted(ray.get([actor.meet.remote() for _ in range(3)])) == [0, 1, 2]
    assert ray.get(actor.main.remote()) is False


def test_no_more_threads_than_max_concurrency(ray, latch):
    actor = Threaded.remote()
    refs = [actor.work.remote(latch) for _ in range(20)]
    latch.open()
    ray.get(refs)
    assert ray.get(actor.found.remote()) <= 3


def test_exceptions_in_threads(ray):
    actor = Threaded.remote()
    refs = [actor.fail.remote() for _ in range(10)]
    for ref in refs:
        with pytest.raises(KeyError):
            ray.get(ref)
    assert ray.get(actor.found.remote()) == 0


def test_threads_submit_and_get(ray):
    @ray.remote
    def double(x):
        return 2 * x

    @ray.remote(max_concurrency=4)
    class Gets:
        def get(self, x):
            return ray.get(double.remote(x)) + ray.get(ray.put(x))

    actor = Gets.remote()
    assert ray.get([actor.get.remote(i) for i in range(200)]) == [3 * i for i in range(200)]


def test_large_results_of_threads(ray):
    @ray.remote(max_concurrency=4)
    class Makes:
        def array(self, i):
            return numpy.full(100_000, i)

    actor = Makes.remote()
    for i, array in enumerate(ray.get([actor.array.remote(i) for i in range(40)])):
        assert array[0] == array[-1] == i


def test_a_thread_blocks_while_others_run(ray, latch):
    @ray.remote(max_concurrency=2)
    class Two:
        def wait(self):
            latch.wait()

        def work(self, x):
            return x

    actor = Two.remote()
    waits = actor.wait.remote()
    assert ray.get([actor.work.remote(i) for i in range(50)]) == list(range(50))
    latch.open()
    ray.get(waits)


def test_exit_actor_in_a_thread_and_in_a_coroutine(ray):
    @ray.remote(max_concurrency=2)
    class Thread:
        def leave(self):
            ray.actor.exit_actor()

    @ray.remote
    class Coroutine:
        async def leave(self):
            await asyncio.sleep(0)
            ray.actor.exit_actor()

    for cls in (Thread, Coroutine):
        actor = cls.remote()
        with pytest.raises(ActorDiedError, match=r"exit_actor\(\) was called in it"):
            ray.get(actor.leave.remote())
        with pytest.raises(ActorDiedError, match=r"exit_actor\(\) was called in it"):
            ray.get(actor.leave.remote())


def test_calls_that_run_are_finished_when_another_one_exits(ray, latch):
    @ray.remote
    class Coroutine:
        def __init__(self):
            self.event = asyncio.Event()

        async def wait(self):
            await self.event.wait()
            return "finished"

        async def leave(self):
            self.event.set()
            ray.actor.exit_actor()

    @ray.remote(max_concurrency=2)
    class Thread:
        def __init__(self):
            self.event = threading.Event()

        def wait(self):
            self.event.wait()
            latch.wait()
            return "finished"

        def leave(self):
            self.event.set()
            ray.actor.exit_actor()

    for cls in (Coroutine, Thread):
        actor = cls.remote()
        waits, leaves = actor.wait.remote(), actor.leave.remote()
        latch.open()
        assert ray.get(waits) == "finished"
        with pytest.raises(ActorDiedError):
            ray.get(leaves)


# ---- concurrency groups


@bolide.remote(concurrency_groups={"io": 2, "compute": 4})
class Groups:
    def __init__(self, together=(1, 1, 1)):
        self.running = {"io": 0, "compute": 0, "default": 0}
        self.most = dict(self.running)
        self.together = dict(zip(self.running, together, strict=True))

    async def count(self, group):
        """Waits until as many calls of the group as are to run together have begun."""
        self.running[group] += 1
        self.most[group] = max(self.most[group], self.running[group])
        while self.most[group] < self.together[group]:
            await asyncio.sleep(0)
        for _ in range(5):  # one too many would begin now
            await asyncio.sleep(0)
        self.running[group] -= 1
        return threading.current_thread().name

    @bolide.method(concurrency_group="io")
    async def f1(self):
        return await self.count("io")

    @bolide.method(concurrency_group="compute")
    async def f3(self):
        return await self.count("compute")

    async def f5(self):
        return await self.count("default")

    async def found(self):
        return self.most


def test_concurrency_groups_limit_each_method(ray):
    actor = Groups.remote(together=(2, 4, 5))
    refs = []
    for _ in range(30):
        refs += [actor.f1.remote(), actor.f3.remote(), actor.f5.remote()]
    names = ray.get(refs)
    most = ray.get(actor.found.remote())
    assert most["io"] == 2 and most["compute"] == 4 and most["default"] >= 5
    assert len(set(names)) == 3  # each group has a thread of its own


def test_concurrency_group_at_run_time(ray):
    actor = Groups.remote()
    in_io = ray.get(actor.f1.remote())
    assert ray.get(actor.f5.options(concurrency_group="io").remote()) == in_io
    assert ray.get(actor.f1.options().remote()) == in_io
    with pytest.raises(ValueError, match="concurrency_group is 'nonsense', but 'Groups' has 'io'"):
        actor.f5.options(concurrency_group="nonsense")


def test_a_method_in_a_group_that_does_not_exist(ray):
    with pytest.raises(ValueError, match="in the concurrency group 'gpu', which the class does no"):

        @ray.remote(concurrency_groups={"io": 1})
        class Wrong:
            @ray.method(concurrency_group="gpu")
            async def f(self):
                pass


def test_groups_of_threads_and_a_group_that_blocks(ray, latch):
    @ray.remote(concurrency_groups={"health": 1})
    class Service:
        def work(self, latch):
            latch.wait()
            return threading.current_thread().name

        @ray.method(concurrency_group="health")
        def ping(self):
            return threading.current_thread().name

    service = Service.remote()
    working = [service.work.remote(latch) for _ in range(3)]
    pings = ray.get([service.ping.remote() for _ in range(3)])
    assert len(set(pings)) == 1
    latch.open()
    assert set(ray.get(working)).isdisjoint(pings)


def test_a_coroutine_that_blocks_does_not_block_another_group(ray, latch):
    @ray.remote(concurrency_groups={"work": 2})
    class Service:
        @ray.method(concurrency_group="work")
        async def block(self):
            latch.wait()

        async def ping(self):
            return "pong"

    service = Service.remote()
    blocked = service.block.remote()
    assert ray.get(service.ping.remote()) == "pong"
    latch.open()
    ray.get(blocked)


@pytest.mark.parametrize("groups", [5, {"io": 0}, {"": 1}, {"io": "2"}])
def test_wrong_concurrency_groups(groups):
    with pytest.raises((ValueError, TypeError), match="concurrency_groups"):
        bolide.remote(concurrency_groups=groups)

"""Actors that run several calls at a time: coroutines, threads, concurrency groups.

Ray's pages "AsyncIO / Concurrency for Actors" and "Limiting Concurrency Per-Method with Concurrency
Groups". No test sleeps: calls meet at events, barriers and latches.
"""

from __future__ import annotations

import asyncio
import functools
import threading

import numpy
import pytest

import bolide
from bolide.exceptions import ActorDiedError, TaskCancelledError


@bolide.remote
class Meets:
    """Calls of `meet` end when as many as expected have come."""

    def __init__(self, expected):
        self.event = asyncio.Event()
        self.expected = expected
        self.come = 0

    async def meet(self):
        self.come += 1
        if self.come == self.expected:
            self.event.set()
        await self.event.wait()
        return self.come

    async def same(self, x):
        return x

    def thread(self):
        return threading.current_thread() is threading.main_thread()


# ---- coroutines


def test_coroutine_methods_run_concurrently(ray):
    actor = Meets.remote(4)
    refs = [actor.meet.remote() for _ in range(4)]
    assert ray.get(refs) == [4] * 4

    async def get_async():
        return await asyncio.gather(*refs)

    assert asyncio.run(get_async()) == [4] * 4


def test_a_thousand_calls_run_at_a_time_by_default(ray):
    actor = Meets.remote(1000)
    assert ray.get([actor.meet.remote() for _ in range(1000)]) == [1000] * 1000


def test_max_concurrency_of_an_async_actor(ray):
    @ray.remote(max_concurrency=3)
    class Limited:
        def __init__(self):
            self.running = self.most = 0

        async def work(self):
            self.running += 1
            self.most = max(self.most, self.running)
            for _ in range(5):
                await asyncio.sleep(0)
            self.running -= 1

        async def found(self):
            return self.most

    actor = Limited.remote()
    ray.get([actor.work.remote() for _ in range(50)])
    assert ray.get(actor.found.remote()) == 3


def test_all_methods_of_an_async_actor_run_in_one_loop_on_one_thread(ray):
    @ray.remote
    class Loops:
        async def coroutine(self):
            return threading.get_ident(), id(asyncio.get_running_loop())

        def plain(self):
            return threading.get_ident(), id(asyncio.get_running_loop())

    actor = Loops.remote()
    assert ray.get(actor.coroutine.remote()) == ray.get(actor.plain.remote())


def test_the_constructor_may_use_the_loop(ray):
    @ray.remote
    class Background:
        def __init__(self):
            self.ticks = 0
            self.task = asyncio.get_event_loop().create_task(self.tick())

        async def tick(self):
            while True:
                self.ticks += 1
                await asyncio.sleep(0)

        async def wait_for(self, ticks):
            while self.ticks < ticks:
                await asyncio.sleep(0)
            return True

    assert ray.get(Background.remote().wait_for.remote(100))


def test_coroutines_await_references(ray):
    @ray.remote
    def double(x):
        return 2 * x

    @ray.remote
    def fail():
        raise OSError("no")

    @ray.remote
    class Awaits:
        async def sum(self, n):
            return sum(await asyncio.gather(*[double.remote(i) for i in range(n)]))

        async def large(self, ref):
            return len(await ref[0])

        async def fails(self):
            try:
                await fail.remote()
            except OSError as error:
                return str(error).splitlines()[-1]

        async def first(self):
            done, _ = await asyncio.wait([double.remote(1).as_future()])
            return done.pop().result()

    actor = Awaits.remote()
    assert ray.get(actor.sum.remote(50)) == 2450
    assert ray.get(actor.large.remote([ray.put(bytes(3_000_000))])) == 3_000_000
    assert ray.get([actor.fails.remote(), actor.first.remote()]) == ["OSError: no", 2]


def test_async_actors_call_each_other(ray):
    @ray.remote
    class Pong:
        async def pong(self, other, n):
            return n if n == 0 else await other.pong.remote(self_handle(self), n - 1)

        async def set(self, me):
            self.me = me

    def self_handle(actor):
        return actor.me[0]

    first, second = Pong.remote(), Pong.remote()
    ray.get([first.set.remote([first]), second.set.remote([second])])
    assert ray.get(first.pong.remote(second, 20)) == 0
    for actor in (first, second):  # each holds a handle to itself
        bolide.kill(actor)


def test_a_blocking_get_in_a_coroutine_stops_the_loop_but_works(ray):
    @ray.remote
    def double(x):
        return 2 * x

    @ray.remote
    class Blocks:
        async def block(self, x):
            return ray.get(double.remote(x))

    actor = Blocks.remote()
    assert ray.get([actor.block.remote(i) for i in range(20)]) == [2 * i for i in range(20)]


def test_threads_of_an_async_actor_use_the_runtime(ray):
    @ray.remote
    def double(x):
        return 2 * x

    @ray.remote
    class Mixed:
        async def in_thread(self, x):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, lambda: ray.get(double.remote(x)))

        async def same(self, x):
            return x

    actor = Mixed.remote()
    refs = []
    for i in range(100):
        refs += [actor.in_thread.remote(i), actor.same.remote(i)]
    assert ray.get(refs) == [y for i in range(100) for y in (2 * i, i)]


def test_exceptions_of_coroutines(ray):
    @ray.remote
    class Fails:
        async def fail(self):
            await asyncio.sleep(0)
            raise ValueError("bad")

        async def work(self):
            return 1

    actor = Fails.remote()
    with pytest.raises(ValueError, match="bad"):
        ray.get(actor.fail.remote())
    assert ray.get(actor.work.remote()) == 1


def test_decorated_coroutine_methods(ray):
    def plus_one(function):
        @functools.wraps(function)
        async def wrapper(*args):
            return await function(*args) + 1

        return wrapper

    def passes_on(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    @ray.remote
    class Decorated:
        @plus_one
        async def one(self, x):
            return x

        @passes_on
        async def two(self, x):
            await asyncio.sleep(0)
            return x

    actor = Decorated.remote()
    assert ray.get([actor.one.remote(1), actor.two.remote(5)]) == [2, 5]


def test_calls_of_async_actors_may_overtake(ray, latch):
    @ray.remote
    def delayed(value):
        latch.wait()
        return value

    @ray.remote
    class AsyncCounter:
        def __init__(self):
            self.value = 0

        async def add(self, addition):
            self.value += addition
            return self.value

    counter = AsyncCounter.remote()
    first, second = counter.add.remote(delayed.remote(1)), counter.add.remote(2)
    assert ray.get(second) == 2
    latch.open()
    assert ray.get(first) == 3


def test_cancelling_a_coroutine(ray, channel):
    @ray.remote
    class Waits:
        async def wait(self):
            channel.say("waiting")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                channel.say("cancelled")
                raise

        async def work(self):
            return 1

    actor = Waits.remote()
    ref = actor.wait.remote()
    assert channel.hear() == ["waiting"]
    ray.cancel(ref)
    assert channel.hear() == ["cancelled"]
    with pytest.raises(TaskCancelledError, match="Waits.wait"):
        ray.get(ref)
    assert ray.get(actor.work.remote()) == 1


def test_cancelling_a_call_that_has_not_begun(ray, latch):
    @ray.remote
    class Serial:
        def wait(self):
            latch.wait()

        def never(self):
            raise AssertionError("it was cancelled")

        def later(self):
            return 5

    actor = Serial.remote()
    first, second, third = actor.wait.remote(), actor.never.remote(), actor.later.remote()
    ray.cancel(second)
    with pytest.raises(TaskCancelledError):
        ray.get(second)
    latch.open()
    assert ray.get([first, third]) == [None, 5]


def test_cancelling_a_call_before_the_actor_exists(ray, latch):
    @ray.remote(num_cpus=2)
    def holds():
        latch.wait()

    task = holds.remote()
    actor = Meets.remote(1)
    ref = actor.same.remote(1)
    ray.cancel(ref)
    with pytest.raises(TaskCancelledError):
        ray.get(ref)
    latch.open()
    assert ray.get([actor.same.remote(2), task]) == [2, None]


def test_force_is_refused_for_calls_of_actors(ray, latch):
    @ray.remote
    class Waits:
        def wait(self):
            latch.wait()

    actor = Waits.remote()
    ref = actor.wait.remote()
    with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
        ray.cancel(ref, force=True)
    latch.open()
    ray.get(ref)


def test_output_of_coroutines_begins_with_the_class(ray, capfd):
    @ray.remote
    class Speaks:
        async def speak(self, i):
            await asyncio.sleep(0)
            print(f"word {i}")

    actor = Speaks.remote()
    ray.get([actor.speak.remote(i) for i in range(3)])
    lines = [line for line in capfd.readouterr().out.splitlines() if "word" in line]
    assert len(lines) == 3
    assert all(line.startswith("(Speaks pid=") for line in lines)


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
    def __init__(self):
        self.running = {"io": 0, "compute": 0, "default": 0}
        self.most = dict(self.running)

    async def count(self, group, rounds=5):
        self.running[group] += 1
        self.most[group] = max(self.most[group], self.running[group])
        for _ in range(rounds):
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
    actor = Groups.remote()
    refs = []
    for _ in range(30):
        refs += [actor.f1.remote(), actor.f3.remote(), actor.f5.remote()]
    names = ray.get(refs)
    most = ray.get(actor.found.remote())
    assert most["io"] == 2 and most["compute"] == 4 and most["default"] > 4
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

"""Actors whose methods are coroutines: Ray's page "AsyncIO / Concurrency for Actors".

No test sleeps: calls meet at events, barriers and latches.
"""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

import bolide
from bolide.exceptions import TaskCancelledError


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
            while self.most < 3:
                await asyncio.sleep(0)
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


def test_cancelling_a_call_behind_one_that_waits_for_an_object(ray, latch, channel):
    @ray.remote
    def opened():
        latch.wait()

    @ray.remote
    class Waits:
        def wait_and_spin(self, refs):
            channel.say("waiting")
            ray.get(refs[0])  # reads the calls behind this one, and puts them aside
            channel.say("spinning")
            while not ray.get_runtime_context().is_canceled():
                pass

        def same(self, x):
            return x

    waits = Waits.remote()
    running = waits.wait_and_spin.remote([opened.remote()])
    channel.hear()
    behind = [waits.same.remote(i) for i in range(3)]
    latch.open()
    channel.hear()
    for ref in (behind[1], running):
        ray.cancel(ref)
        with pytest.raises(TaskCancelledError):
            ray.get(ref)
    assert ray.get([behind[0], behind[2], waits.same.remote(3)]) == [0, 2, 3]


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

"""Generator methods of actors that run several calls at a time: coroutines and threads.

Generators of actors that run one call at a time, and what generators promise in general, are in
test_streaming.py. Ray's page "Ray Generators", section on actors.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from bolide.exceptions import StreamingGeneratorReplayInconsistentError, TaskCancelledError


@pytest.fixture
def make_counting(ray, channel):
    """`make_counting(kind)`: an actor whose `count(n)` says and yields the numbers below n."""

    class OfThreads:
        def count(self, n):
            for i in range(n):
                channel.say(i)
                yield i

        def same(self, x):
            return x

    class OfCoroutines:
        async def count(self, n):
            for i in range(n):
                channel.say(i)
                yield i
                await asyncio.sleep(0)

        async def same(self, x):
            return x

    class Mixed(OfThreads):
        async def other(self):
            """Makes it an async actor, whose plain generators run in the loop."""

    made = {
        "threads": ray.remote(max_concurrency=3)(OfThreads),
        "coroutines": ray.remote(OfCoroutines),
        "mixed": ray.remote(Mixed),
        "group of threads": ray.remote(concurrency_groups={"side": 2})(OfThreads),
        "group of coroutines": ray.remote(concurrency_groups={"side": 2})(OfCoroutines),
    }

    def make(kind):
        actor = made[kind].remote()
        count = actor.count
        if kind.startswith("group"):
            count = count.options(concurrency_group="side")
        return actor, count

    return make


KINDS = ["threads", "coroutines", "mixed", "group of threads", "group of coroutines"]


def values(ray, generator):
    return [ray.get(ref) for ref in generator]


@pytest.mark.parametrize("kind", KINDS)
def test_items_in_order(ray, make_counting, kind):
    _, count = make_counting(kind)
    assert values(ray, count.remote(50)) == list(range(50))
    assert values(ray, count.remote(0)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_several_generators_at_a_time(ray, make_counting, kind):
    _, count = make_counting(kind)
    generators = [count.remote(i) for i in (20, 30)]
    assert [len(values(ray, generator)) for generator in generators] == [20, 30]


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_waits_for_its_consumer_and_others_go_on(ray, make_counting, channel, kind):
    actor, count = make_counting(kind)
    generator = count.options(_generator_backpressure_num_objects=2).remote(6)
    assert channel.hear(2) == ["0", "1"]
    # It has no credit now; in a loop, or in a thread beside, other calls are run all the same.
    assert ray.get([actor.same.remote(i) for i in range(20)]) == list(range(20))
    assert ray.get(next(generator)) == 0
    assert channel.hear(1) == ["2"]
    assert values(ray, generator) == [1, 2, 3, 4, 5]


def test_an_async_actor_consumes_the_stream_of_another(ray, make_counting):
    @ray.remote
    class Sums:
        async def sum(self, method, n):
            total = 0
            async for ref in method.remote(n):
                total += await ref
            return total

    actor, count = make_counting("coroutines")
    consumers = [Sums.remote() for _ in range(2)]
    assert ray.get([consumer.sum.remote(count, 20) for consumer in consumers]) == [190, 190]
    del actor


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_an_exception_is_the_last_item(ray, kind):
    class Failing:
        def items(self):
            yield 1
            raise KeyError("second")

    class FailingAsync:
        async def items(self):
            yield 1
            raise KeyError("second")

    cls = FailingAsync if kind == "async" else Failing
    generator = ray.remote(max_concurrency=2)(cls).remote().items.remote()
    assert ray.get(next(generator)) == 1
    with pytest.raises(KeyError, match="second"):
        ray.get(next(generator))
    assert list(generator) == []


def test_async_generators_with_a_number_of_returns(ray):
    @ray.remote
    class Splits:
        @ray.method(num_returns=2)
        async def two(self):
            yield 1
            yield 2

        @ray.method(num_returns="dynamic")
        async def listed(self, n):
            for i in range(n):
                yield i

    actor = Splits.remote()
    assert ray.get(actor.two.remote()) == [1, 2]
    assert values(ray, ray.get(actor.listed.remote(3))) == [0, 1, 2]


def test_cancel_ends_an_async_generator_where_it_waits(ray, channel):
    @ray.remote
    class Endless:
        async def items(self):
            try:
                yield 1
                channel.say("in")
                await asyncio.Event().wait()
            finally:
                channel.say("cleaned up")

        async def alive(self):
            return True

    actor = Endless.remote()
    generator = actor.items.remote()
    channel.hear()
    ray.cancel(generator)
    assert channel.hear() == ["cleaned up"]
    assert ray.get(next(generator)) == 1
    with pytest.raises(TaskCancelledError):
        ray.get(next(generator))
    assert ray.get(actor.alive.remote())


@pytest.mark.parametrize("kind", KINDS)
def test_cancel_ends_a_generator_that_waits_for_its_consumer(ray, make_counting, channel, kind):
    actor, count = make_counting(kind)
    generator = count.options(_generator_backpressure_num_objects=1).remote(10)
    channel.hear()
    ray.cancel(generator)
    with pytest.raises(TaskCancelledError):
        ray.get(generator.completed())
    assert ray.get(actor.same.remote(1)) == 1


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_cancel_ends_a_generator_at_its_next_item(ray, channel, max_concurrency):
    @ray.remote(max_concurrency=max_concurrency)
    class Endless:
        def items(self):
            channel.say("in")
            while True:
                yield 1

    generator = Endless.remote().items.remote()
    channel.hear()
    ray.cancel(generator)
    with pytest.raises(TaskCancelledError):
        ray.get(generator.completed())


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_restarted_actor_does_not_repeat_items(ray, journal, kind):
    class Dying:
        def __init__(self):
            journal.note("start")

        def items(self, n=300):
            for i in range(n):
                if i == 100 * len(journal.lines()):
                    os.kill(os.getpid(), signal.SIGKILL)
                yield i

    class DyingAsync(Dying):
        async def items(self, n=300):
            for item in Dying.items(self, n):
                yield item

    cls = DyingAsync if kind == "async" else Dying
    actor = ray.remote(max_restarts=2, max_task_retries=-1, max_concurrency=2)(cls).remote()
    assert values(ray, actor.items.remote()) == list(range(300))
    assert len(journal.lines()) == 3


def test_an_async_generator_that_yields_less_when_it_runs_again_says_so(ray, journal):
    @ray.remote
    class Shrinks:
        @ray.method(max_task_retries=1, retry_exceptions=True)
        async def items(self):
            journal.note("run")
            yield 1
            if len(journal.lines()) == 1:
                yield 2
                raise OSError("again")

    actor = Shrinks.remote()
    generator = actor.items.remote()
    assert ray.get([next(generator), next(generator)]) == [1, 2]
    with pytest.raises(StreamingGeneratorReplayInconsistentError, match="1 items when it ran agai"):
        ray.get(next(generator))


def test_an_actor_that_ends_finishes_the_generators_that_have_begun(ray, make_latch, channel):
    latch = make_latch()

    @ray.remote
    class Ends:
        async def items(self):
            yield 1
            channel.say("in")
            await asyncio.get_running_loop().run_in_executor(None, latch.wait)
            yield 2

    actor = Ends.remote()
    generator = actor.items.remote()
    channel.hear()
    end = actor.__ray_terminate__.remote()
    latch.open()
    assert values(ray, generator) == [1, 2]
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(end)

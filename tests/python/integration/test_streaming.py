"""Remote generators: items as they are yielded, back-pressure, failures, dropped streams."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal

import numpy as np
import pytest

import bolide
from bolide.exceptions import TaskCancelledError, WorkerCrashedError


@pytest.fixture
def count(ray):
    """A generator of the numbers below n."""

    @ray.remote
    def count(n):
        yield from range(n)

    return count


def values(generator):
    return [bolide.get(ref) for ref in generator]


def test_items_in_order(ray, count):
    generator = count.remote(2000)
    assert isinstance(generator, ray.ObjectRefGenerator)
    assert values(generator) == list(range(2000))
    with pytest.raises(StopIteration):
        next(generator)


def test_no_items(ray, count):
    generator = count.remote(0)
    assert list(generator) == []
    assert generator.is_finished()
    assert ray.get(generator.completed()) is None


def test_items_of_all_kinds(ray):
    @ray.remote
    def items():
        yield None
        yield {"a": [1, (2, 3)]}
        yield "x" * 100_000
        yield np.arange(300_000)
        yield ray.put([1, 2])

    none, mapping, text, array, ref = values(items.remote())
    assert (none, mapping, text) == (None, {"a": [1, (2, 3)]}, "x" * 100_000)
    assert (array == np.arange(300_000)).all()
    assert not array.flags.writeable
    assert ray.get(ref) == [1, 2]


def test_an_item_is_there_before_the_task_ends(ray, make_latch):
    latches = [make_latch() for _ in range(3)]

    @ray.remote
    def steps():
        for i, latch in enumerate(latches):
            latch.wait()
            yield i

    generator = steps.remote()
    for i, latch in enumerate(latches):
        assert not generator.next_ready()
        assert ray.wait([generator], timeout=0) == ([], [generator])
        latch.open()
        assert ray.get(next(generator)) == i
        assert not generator.is_finished() or i == 2
    ray.get(generator.completed())
    assert generator.is_finished()
    assert not generator.next_ready()


def test_the_exception_is_an_item(ray):
    @ray.remote
    def fail():
        yield 1
        yield 2
        raise KeyError("third")

    generator = fail.remote()
    assert [ray.get(next(generator)), ray.get(next(generator))] == [1, 2]
    assert not generator.is_finished()
    error = next(generator)
    with pytest.raises(KeyError, match="third"):
        ray.get(error)
    assert generator.is_finished()
    with pytest.raises(StopIteration):
        next(generator)
    with pytest.raises(KeyError, match="third"):
        ray.get(generator.completed())


def test_an_item_that_cannot_be_pickled_ends_the_stream(ray):
    @ray.remote
    def items():
        yield 1
        yield (i for i in range(3))

    generator = items.remote()
    assert ray.get(next(generator)) == 1
    with pytest.raises(TypeError, match="the result of .*items' cannot be sent.*generator"):
        ray.get(next(generator))


def test_a_failed_argument(ray, count):
    @ray.remote
    def fail():
        raise KeyError("argument")

    generator = count.remote(fail.remote())
    with pytest.raises(KeyError, match="argument"):
        ray.get(next(generator))
    assert list(generator) == []


def test_only_generator_functions_stream(ray):
    @ray.remote
    def plain():
        return [1]

    with pytest.raises(ValueError, match="num_returns='streaming' can only be used with generator"):
        plain.options(num_returns="streaming")


@pytest.mark.parametrize("method", ["send", "throw", "asend", "athrow"])
def test_it_only_goes_forward(ray, count, method):
    generator = count.remote(1)
    with pytest.raises(NotImplementedError, match=f"`gen.{method}` is not supported"):
        getattr(generator, method)(None)
    for close in (generator.close, generator.aclose):
        with pytest.raises(NotImplementedError, match="is not supported"):
            close()
    list(generator)


def test_it_cannot_be_passed_on(ray, count):
    @ray.remote
    def take(_):
        pass

    generator = count.remote(3)
    with pytest.raises(TypeError, match="Serializing a ObjectRefGenerator is not allowed"):
        pickle.dumps(generator)
    with pytest.raises(TypeError, match="cannot return or pass a generator"):
        take.remote(generator)
    assert values(generator) == [0, 1, 2]
    with pytest.raises(ValueError, match="must either be an ObjectRef or a list"):
        ray.get(generator)


def test_references_travel_as_any_other(ray, count):
    @ray.remote
    def add(*numbers):
        return sum(numbers)

    refs = list(count.remote(20))
    assert ray.get(add.remote(*refs)) == 190
    assert len(set(refs)) == 20


# ---- waiting


def test_wait_takes_generators_and_references(ray, make_latch):
    latch = make_latch()

    @ray.remote
    def items():
        yield 1
        latch.wait()
        yield 2

    @ray.remote
    def later():
        latch.wait()
        return "later"

    generator, ref = items.remote(), later.remote()
    assert ray.wait([ref, generator]) == ([generator], [ref])
    assert ray.get(next(generator)) == 1
    assert ray.wait([generator, ref], timeout=0) == ([], [generator, ref])
    latch.open()
    assert ray.wait([ref, generator], num_returns=2) == ([ref, generator], [])
    assert ray.get(next(generator)) == 2
    assert ray.wait([generator]) == ([generator], [])
    assert list(generator) == []


def test_wait_refuses_a_generator_twice(ray, count):
    generator = count.remote(1)
    with pytest.raises(ValueError, match="unique"):
        ray.wait([generator, generator])
    list(generator)


def test_next_with_a_limit_of_time(ray, latch):
    @ray.remote
    def items():
        latch.wait()
        yield 1

    generator = items.remote()
    assert generator._next_sync(0.01) is None
    latch.open()
    assert ray.get(generator._next_sync(30)) == 1


def test_async_iteration(ray, count):
    async def total(n):
        result = 0
        async for ref in count.remote(n):
            result += await ref
        return result

    async def main():
        return await asyncio.gather(*(total(n) for n in (1, 10, 500)))

    assert asyncio.run(main()) == [0, 45, 124_750]


def test_an_exception_in_async_iteration(ray):
    @ray.remote
    def fail():
        yield 1
        raise KeyError("late")

    async def main():
        generator = fail.remote()
        assert await (await generator.__anext__()) == 1
        error = await generator.__anext__()
        with pytest.raises(KeyError, match="late"):
            await error
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()

    asyncio.run(main())


def test_an_async_generator_function(ray):
    @ray.remote
    async def items(n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    assert values(items.remote(50)) == list(range(50))


# ---- in tasks


def test_a_task_consumes_a_stream(ray, count):
    @ray.remote
    def total(n):
        generator = count.remote(n)
        result = sum(ray.get(ref) for ref in generator)
        assert generator.is_finished()
        return result

    assert ray.get(total.remote(3000)) == 4_498_500


def test_a_task_sees_the_exception_of_a_stream(ray):
    @ray.remote
    def fail():
        yield "x" * 50_000
        raise KeyError("inner")

    @ray.remote
    def consume():
        generator = fail.remote()
        first = len(ray.get(next(generator)))
        try:
            ray.get(next(generator))
        except KeyError as error:
            return first, str(error.args), list(generator)

    assert ray.get(consume.remote()) == (50_000, "('inner',)", [])


def test_a_stream_of_streams(ray, count):
    @ray.remote
    def rows(n):
        for i in range(n):
            yield sum(ray.get(ref) for ref in count.remote(i))

    assert values(rows.remote(30)) == [i * (i - 1) // 2 for i in range(30)]


def test_streams_in_a_deep_tree_on_one_cpu():
    bolide.init(num_cpus=1)

    @bolide.remote
    def tree(depth):
        if depth:
            for _ in range(2):
                yield from (bolide.get(ref) for ref in tree.remote(depth - 1))
        yield depth

    assert len(values(tree.remote(4))) == 31


def test_references_are_dropped_with_a_generator_in_a_task(ray, count, stats, eventually):
    @ray.remote
    def take_some():
        generator = count.remote(5000)
        return [ray.get(next(generator)) for _ in range(10)]

    before = stats()["objects"]
    for _ in range(5):
        assert ray.get(take_some.remote()) == list(range(10))
    eventually(lambda: stats()["tasks"], 0)
    eventually(lambda: stats()["objects"] - before <= 2, True)


# ---- actors


def test_a_generator_method(ray):
    @ray.remote
    class Pages:
        def __init__(self, size):
            self.size = size

        def read(self, n):
            for i in range(n):
                self.size += 1
                yield i, self.size

        def length(self):
            return self.size

    pages = Pages.remote(10)
    first, second = pages.read.remote(3), pages.read.remote(2)
    length = pages.length.remote()
    assert values(first) == [(0, 11), (1, 12), (2, 13)]
    assert values(second) == [(0, 14), (1, 15)]
    assert ray.get(length) == 15


def test_an_exception_in_a_generator_method(ray):
    @ray.remote
    class Failing:
        def items(self):
            yield 1
            raise KeyError("second")

        @ray.method(num_returns="dynamic")
        def listed(self):
            yield 1

    actor = Failing.remote()
    generator = actor.items.remote()
    assert ray.get(next(generator)) == 1
    with pytest.raises(KeyError, match="second"):
        ray.get(next(generator))
    assert list(generator) == []
    assert [ray.get(ref) for ref in ray.get(actor.listed.remote())] == [1]


def test_a_limit_for_a_generator_method(ray, channel):
    @ray.remote(_actor_generator_backpressure_num_objects=2)
    class Counting:
        def count(self, n):
            for i in range(n):
                channel.say(i)
                yield i

        @ray.method(_generator_backpressure_num_objects=1)
        def slowly(self, n):
            yield from self.count(n)

    actor = Counting.remote()
    for method, limit in (
        (actor.count, 2),
        (actor.slowly, 1),
        (actor.count.options(_generator_backpressure_num_objects=3), 3),
    ):
        generator = method.remote(6)
        said = channel.hear(limit)
        assert ray.get(next(generator)) == 0
        assert len(said + channel.hear()) == limit + 1
        assert values(generator) == list(range(1, 6))
        channel.hear(6 - limit - 1)


def test_the_end_of_an_actor_ends_its_streams(ray, channel):
    @ray.remote
    class Endless:
        def items(self):
            yield 1
            channel.say("in")
            signal.pause()

    actor = Endless.remote()
    generator = actor.items.remote()
    channel.hear()
    ray.kill(actor)
    assert ray.get(next(generator)) == 1
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(next(generator))
    assert list(generator) == []
    gone = actor.items.remote()
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(next(gone))
    assert list(gone) == []


def test_a_restarted_actor_does_not_repeat_items(ray, journal):
    @ray.remote(max_restarts=2, max_task_retries=-1)
    class Dying:
        def __init__(self):
            journal.note("start")

        def items(self):
            for i in range(300):
                if i == 100 * len(journal.lines()):
                    os.kill(os.getpid(), signal.SIGKILL)
                yield i

    assert values(Dying.remote().items.remote()) == list(range(300))
    assert len(journal.lines()) == 3


def test_only_generator_methods_stream(ray):
    @ray.remote
    class Plain:
        def get(self):
            return 1

    actor = Plain.remote()
    with pytest.raises(ValueError, match="can only be used with generator functions .*Plain.get"):
        actor.get.options(num_returns="streaming")


# ---- how far ahead


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_limit_is_exact(ray, channel, limit):
    @ray.remote(_generator_backpressure_num_objects=limit)
    def items():
        for i in range(20):
            channel.say(i)
            yield i

    generator = items.remote()
    said = channel.hear(limit)
    for i in range(20):
        assert len(said) == min(20, limit + i)
        assert ray.get(next(generator)) == i
        if len(said) < 20:
            said += channel.hear()
    assert list(generator) == []


def test_the_limit_in_a_task(ray, channel, journal):
    @ray.remote(_generator_backpressure_num_objects=2)
    def items():
        for i in range(50):
            journal.note(i)
            yield i

    @ray.remote
    def consume():
        most = 0
        for taken, _ in enumerate(items.remote()):
            most = max(most, len(journal.lines()) - taken)
        return most

    assert ray.get(consume.remote()) <= 4  # the one that is taken, the one being made, and two


def test_a_large_limit(ray, count):
    generator = count.options(_generator_backpressure_num_objects=100).remote(5000)
    assert values(generator) == list(range(5000))


def test_without_a_limit_it_runs_to_its_end(ray, count):
    generator = count.remote(50_000)
    assert ray.get(generator.completed()) is None
    assert values(generator) == list(range(50_000))


def test_a_generator_that_waits_gives_its_cpu_away():
    bolide.init(num_cpus=1)

    @bolide.remote(_generator_backpressure_num_objects=1)
    def items():
        yield from range(3)

    @bolide.remote
    def other():
        return "ran"

    generator = items.remote()
    bolide.wait([generator])
    assert bolide.get(other.remote()) == "ran"
    assert values(generator) == [0, 1, 2]


def test_a_bad_limit(ray):
    for bad in (0, -2):
        with pytest.raises(ValueError, match="_generator_backpressure_num_objects is"):
            ray.remote(_generator_backpressure_num_objects=bad)(lambda: None)


def rss():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_a_million_items_and_a_slow_consumer_need_no_memory(ray, count, stats):
    """The consumer does some work for each, so the generator is ahead of it all the time."""
    generator = count.remote(1_000_000)
    total = 0
    before = None
    for i, ref in enumerate(generator):
        total += ray.get(ref)
        for _ in range(20):
            total += 0
        if i == 50_000:
            gc.collect()
            before = rss()
        if i % 100_000 == 99_999:
            assert rss() - before < 8 << 20, i
            assert stats()["objects"] < 100
    assert total == 499_999_500_000


@pytest.mark.slow
def test_large_items_are_freed_as_they_are_taken(ray, stats):
    @ray.remote
    def arrays(n):
        for i in range(n):
            yield np.full(250_000, i)

    most = 0
    for i, ref in enumerate(arrays.remote(1000)):  # 2 GB in all
        assert ray.get(ref)[-1] == i
        most = max(most, stats()["store"]["granted"])
    assert most <= 1 << 30


# ---- dropped, cancelled, killed


def test_what_was_not_taken_is_freed(ray, stats, eventually):
    @ray.remote
    def items():
        for _ in range(10):
            yield b"x" * 200_000

    generator = items.remote()
    kept = next(generator)
    ray.get(generator.completed())
    del generator
    eventually(lambda: stats()["store"]["live"], 200_064)
    assert ray.get(kept) == b"x" * 200_000


@pytest.mark.parametrize("limit", [-1, 2])
def test_a_dropped_generator_runs_on(ray, latch, channel, stats, eventually, limit):
    @ray.remote(_generator_backpressure_num_objects=limit)
    def items():
        yield 0
        latch.wait()
        for _ in range(100):
            yield b"x" * 20_000
        channel.say("end")

    generator = items.remote()
    next(generator)
    del generator
    latch.open()
    assert channel.hear() == ["end"]
    eventually(lambda: stats()["store"]["live"], 0)
    eventually(lambda: stats()["tasks"], 0)


def test_a_generator_dropped_at_once(ray, count, stats, eventually):
    for _ in range(100):
        count.remote(100)
    eventually(lambda: stats()["tasks"], 0)


def test_cancel_ends_a_stream(ray, channel):
    @ray.remote
    def items():
        yield 1
        channel.say("in")
        signal.pause()
        yield 2

    generator = items.remote()
    channel.hear()
    ray.cancel(generator)
    assert ray.get(next(generator)) == 1
    with pytest.raises(TaskCancelledError):
        ray.get(next(generator))
    assert list(generator) == []


def test_cancel_reaches_a_generator_that_waits_for_its_consumer(ray):
    @ray.remote(_generator_backpressure_num_objects=1)
    def items():
        yield from range(10)

    generator = items.remote()
    ray.wait([generator])
    ray.cancel(generator)
    with pytest.raises(TaskCancelledError):
        ray.get(generator.completed())
    assert ray.get(next(generator)) == 0
    with pytest.raises(TaskCancelledError):
        values(generator)


def test_items_are_not_repeated_when_its_worker_dies(ray, journal):
    @ray.remote(max_retries=3)
    def items(n):
        journal.note("run")
        attempt = len(journal.lines())
        for i in range(n):
            if i == 300 * attempt and attempt < 4:
                os.kill(os.getpid(), signal.SIGKILL)
            yield (i, "x" * (i % 7) * 3000)

    got = values(items.remote(1500))
    assert [i for i, _ in got] == list(range(1500))
    assert all(text == "x" * (i % 7) * 3000 for i, text in got)
    assert len(journal.lines()) == 4


def test_a_stream_whose_retries_are_used_up(ray):
    @ray.remote(max_retries=0)
    def items():
        yield 1
        os.kill(os.getpid(), signal.SIGKILL)

    generator = items.remote()
    assert ray.get(next(generator)) == 1
    with pytest.raises(WorkerCrashedError, match="SIGKILL"):
        ray.get(next(generator))
    assert list(generator) == []


def test_exceptions_are_retried_without_repeating_items(ray, journal):
    @ray.remote(retry_exceptions=[ValueError], max_retries=2)
    def items():
        journal.note("run")
        for i in range(100):
            if i == 30 * len(journal.lines()):
                raise ValueError(i)
            yield i

    generator = items.remote()
    got = []
    with pytest.raises(ValueError, match="90"):
        for ref in generator:
            got.append(ray.get(ref))
    assert got == list(range(90))
    assert len(journal.lines()) == 3


def test_a_retry_with_fewer_items_says_so(ray, journal):
    @ray.remote(retry_exceptions=True)
    def items():
        journal.note("run")
        yield 1
        if len(journal.lines()) == 1:
            yield 2
            raise ValueError

    generator = items.remote()
    assert [ray.get(next(generator)), ray.get(next(generator))] == [1, 2]
    with pytest.raises(
        ray.exceptions.StreamingGeneratorReplayInconsistentError,
        match="yielded 1 items when it ran again, but 2 in the attempt before",
    ):
        ray.get(next(generator))


def test_limits_hold_across_retries(ray, journal):
    @ray.remote(_generator_backpressure_num_objects=3)
    def items():
        journal.note("run")
        for i in range(40):
            if i == 20 and len(journal.lines()) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield i

    assert values(items.remote()) == list(range(40))


def test_shutdown_with_open_streams():
    bolide.init(num_cpus=2)

    @bolide.remote
    def endless():
        i = 0
        while True:
            yield i
            i += 1

    generators = [endless.remote() for _ in range(3)]
    assert bolide.get(next(generators[0])) == 0
    bolide.shutdown()
    with pytest.raises(bolide.exceptions.RaySystemError, match="was shut down"):
        for ref in generators[0]:
            bolide.get(ref)


def test_output_comes_before_the_item(ray, capsys):
    @ray.remote
    def items():
        for i in range(3):
            print("making", i)
            yield i

    for i, ref in enumerate(items.remote()):
        ray.get(ref)
        assert f"making {i}" in capsys.readouterr().out or i > 0

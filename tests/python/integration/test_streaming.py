"""Remote generators: items as they are yielded, waiting for them, consumers in tasks."""

from __future__ import annotations

import asyncio
import pickle

import numpy as np
import pytest

import bolide

from .streamed import values


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

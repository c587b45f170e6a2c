"""Generators with a number of returns, and with num_returns="dynamic"."""

from __future__ import annotations

import pytest


def test_static_returns_of_a_generator(ray):
    @ray.remote(num_returns=3)
    def items():
        yield 1
        yield [2]
        yield "3" * 20_000

    assert ray.get(items.remote()) == [1, [2], "3" * 20_000]


def test_one_return_of_a_generator(ray):
    @ray.remote(num_returns=1)
    def items():
        yield 7

    assert ray.get(items.remote()) == 7


def test_what_was_yielded_before_an_exception_stays(ray):
    @ray.remote(num_returns=4)
    def generator():
        yield 0
        yield "1" * 20_000
        raise KeyError("error")

    first, second, third, fourth = generator.remote()
    assert ray.get([first, second]) == [0, "1" * 20_000]
    for ref in (third, fourth):
        with pytest.raises(KeyError, match="error"):
            ray.get(ref)


def test_an_exception_after_the_last_value_is_printed(ray, capsys):
    @ray.remote(num_returns=2)
    def generator():
        yield 0
        yield 1
        raise KeyError("late")

    assert ray.get(generator.remote()) == [0, 1]
    assert "has yielded its 2 values, then raised KeyError('late')" in capsys.readouterr().err


def test_too_few_values(ray):
    @ray.remote(num_returns=3)
    def generator():
        yield 0

    first, second, third = generator.remote()
    assert ray.get(first) == 0
    for ref in (second, third):
        with pytest.raises(ValueError, match="so it must return 3 values, but it returned 1"):
            ray.get(ref)


def test_too_many_values(ray):
    @ray.remote(num_returns=2)
    def generator():
        yield from range(5)

    for ref in generator.remote():
        with pytest.raises(ValueError, match="must return 2 values, but it returned more than 2"):
            ray.get(ref)


def test_a_failed_generator_is_retried_whole(ray, journal):
    @ray.remote(num_returns=2, retry_exceptions=True)
    def generator():
        journal.note("run")
        yield len(journal.lines())
        if len(journal.lines()) < 3:
            raise ValueError
        yield "end"

    assert ray.get(generator.remote()) == [3, "end"]


def test_dynamic_items_become_objects_of_their_own(ray):
    @ray.remote(num_returns="dynamic")
    def split(values, size):
        while values:
            yield values[:size]
            values = values[size:]

    ref = split.remote(list(range(10)), 4)
    generator = ray.get(ref)
    assert isinstance(generator, ray.DynamicObjectRefGenerator)
    assert len(generator) == 3
    assert [ray.get(item) for item in generator] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(generator) == 0
    assert len(ray.get(ref)) == 3


def test_a_dynamic_generator_is_passed_to_a_task(ray):
    @ray.remote(num_returns="dynamic")
    def items(n):
        for i in range(n):
            yield "x" * (i * 10_000)

    @ray.remote
    def total(generator):
        return sum(len(ray.get(ref)) for ref in generator)

    assert ray.get(total.remote(items.remote(4))) == 60_000
    assert ray.get(total.remote(ray.get(items.remote(4)))) == 60_000


def test_the_exception_is_the_last_dynamic_item(ray):
    @ray.remote
    def generator():
        yield 0
        yield 1
        raise KeyError("error")

    one, two, error = ray.get(generator.options(num_returns="dynamic").remote())
    assert ray.get([one, two]) == [0, 1]
    with pytest.raises(KeyError, match="error"):
        ray.get(error)


def test_a_dynamic_generator_without_items(ray):
    @ray.remote(num_returns="dynamic")
    def nothing():
        yield from ()

    assert list(ray.get(nothing.remote())) == []


def test_dynamic_items_are_freed_with_the_generator(ray, stats, eventually):
    @ray.remote(num_returns="dynamic")
    def items():
        for _ in range(10):
            yield b"x" * 200_000

    ref = items.remote()
    kept = list(ray.get(ref))[3]
    del ref
    eventually(lambda: stats()["store"]["live"], 200_064)
    assert ray.get(kept) == b"x" * 200_000


def test_a_dynamic_generator_is_retried_whole(ray, journal):
    @ray.remote(num_returns="dynamic", retry_exceptions=[ValueError])
    def generator():
        journal.note("run")
        yield len(journal.lines())
        if len(journal.lines()) < 2:
            raise ValueError
        yield "end"

    assert [ray.get(ref) for ref in ray.get(generator.remote())] == [2, "end"]


def test_an_async_generator(ray):
    @ray.remote(num_returns="dynamic")
    async def items():
        import asyncio

        for i in range(3):
            await asyncio.sleep(0)
            yield i

    assert [ray.get(ref) for ref in ray.get(items.remote())] == [0, 1, 2]


def test_only_generators_are_dynamic(ray):
    with pytest.raises(
        ValueError, match=r"can only be used with generator functions .*plain' is not"
    ):

        @ray.remote(num_returns="dynamic")
        def plain():
            return [1]

    @ray.remote
    def plain():
        return [1]

    with pytest.raises(ValueError, match="can only be used with generator functions"):
        plain.options(num_returns="dynamic")


def test_a_coroutine_function_is_refused(ray):
    with pytest.raises(
        ValueError, match="'async def' should not be used for remote tasks.*asyncio"
    ):

        @ray.remote
        async def plain():
            return 1

"""How far a remote generator may be ahead of its consumer."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

import bolide

from .streamed import values


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

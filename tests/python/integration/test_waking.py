"""What is there reaches who waits for it, also when the driver is outside bolide.

The driver blocks on a pipe here, so nobody reads the workers' results unless they are announced.
"""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
def maker(ray):
    """An actor with a quick method, and one that ends when a latch opens."""

    @ray.remote
    class Maker:
        def quick(self):
            return 1

        def slow(self, latch):
            latch.wait()

    return Maker.remote()


def test_a_worker_gets_a_result_whose_maker_goes_on_with_another_call(ray, maker, latch, channel):
    @ray.remote
    def ask():
        quick, slow = maker.quick.remote(), maker.slow.remote(latch)
        channel.say(ray.get(quick))
        return ray.get(slow)

    ray.get(maker.quick.remote())
    asked = ask.remote()
    assert channel.hear() == ["1"]
    latch.open()
    ray.get(asked)


def test_a_worker_waits_for_one_whose_maker_goes_on(ray, maker, latch, channel):
    @ray.remote
    def ask():
        quick, slow = maker.quick.remote(), maker.slow.remote(latch)
        channel.say(ray.wait([quick, slow])[0] == [quick])
        return ray.get(slow)

    asked = ask.remote()
    assert channel.hear() == ["True"]
    latch.open()
    ray.get(asked)


def test_a_task_begins_when_its_argument_is_there(ray, maker, latch, channel):
    @ray.remote
    def use(x):
        channel.say(x)

    quick, slow = maker.quick.remote(), maker.slow.remote(latch)
    used = use.remote(quick)
    assert channel.hear() == ["1"]
    latch.open()
    ray.get([used, slow])


def test_items_of_a_stream_reach_a_task_as_they_are_yielded(ray, latch, channel):
    @ray.remote
    def items():
        yield 1
        latch.wait()
        yield 2

    @ray.remote
    def consume():
        for ref in items.remote():
            channel.say(ray.get(ref))

    consumed = consume.remote()
    assert channel.hear() == ["1"]
    latch.open()
    assert channel.hear() == ["2"]
    ray.get(consumed)


def test_shutdown_while_the_next_item_is_awaited(ray, latch):
    @ray.remote
    def items():
        latch.wait()
        yield 1

    async def wait_a_moment():
        generator = items.remote()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(generator.__anext__(), 0.05)
        return generator

    generator = asyncio.run(wait_a_moment())
    ray.shutdown()
    del generator

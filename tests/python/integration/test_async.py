"""References as awaitables and futures, in the driver and in tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

import bolide


@pytest.fixture
def square(ray):
    @ray.remote
    def square(x):
        if x < 0:
            raise ValueError(f"negative: {x}")
        return x * x

    return square


def test_await(ray, square):
    async def main():
        return await square.remote(3), await ray.put("x")

    assert asyncio.run(main()) == (9, "x")


def test_gather_many(ray, square):
    async def main():
        return await asyncio.gather(*[square.remote(i) for i in range(1000)])

    assert asyncio.run(main()) == [i * i for i in range(1000)]


def test_an_error_is_raised_where_it_is_awaited(ray, square):
    async def main():
        with pytest.raises(ValueError, match="negative: -2"):
            await square.remote(-2)
        return await asyncio.gather(square.remote(2), square.remote(-1), return_exceptions=True)

    good, bad = asyncio.run(main())
    assert good == 4
    assert isinstance(bad, ValueError)


def test_the_loop_runs_while_it_waits(ray, latch):
    @ray.remote
    def slow():
        latch.wait()
        return "slow"

    async def main():
        ref = slow.remote()

        async def opens():
            latch.open()
            return "opened"

        return await asyncio.gather(ref, opens())

    assert asyncio.run(main()) == ["slow", "opened"]


def test_wait_for_and_cancel(ray, latch):
    @ray.remote
    def slow():
        latch.wait()
        return "slow"

    async def main():
        ref = slow.remote()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ref.as_future(), 0.02)
        waiting = asyncio.ensure_future(ref.as_future())
        waiting.cancel()
        latch.open()
        return await ref

    assert asyncio.run(main()) == "slow"


def test_as_completed(ray, square):
    async def main():
        futures = [square.remote(i).as_future() for i in range(20)]
        return sorted([await f for f in asyncio.as_completed(futures)])

    assert asyncio.run(main()) == sorted(i * i for i in range(20))


def test_two_loops_in_two_threads(ray, square):
    async def main(offset):
        return await asyncio.gather(*[square.remote(offset + i) for i in range(100)])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda offset: asyncio.run(main(offset)), (0, 1000)))
    assert results == [[(o + i) ** 2 for i in range(100)] for o in (0, 1000)]


def test_many_loops_leave_no_descriptors(ray, square):
    async def main(i):
        return await square.remote(i)

    assert [asyncio.run(main(i)) for i in range(20)] == [i * i for i in range(20)]
    # The leak gate counts.


def test_future(ray, square):
    futures = [square.remote(i).future() for i in range(100)]
    assert all(isinstance(f, concurrent.futures.Future) for f in futures)
    assert [f.result() for f in futures] == [i * i for i in range(100)]
    assert isinstance(square.remote(-1).future().exception(), ValueError)


def test_a_callback_of_a_future(ray, square):
    done = threading.Event()
    seen = []

    def note(future):
        seen.append(future.result())
        done.set()

    square.remote(6).future().add_done_callback(note)
    assert done.wait(30)
    assert seen == [36]


def test_a_callback_may_use_the_runtime(ray, square):
    done = threading.Event()
    seen = []

    def note(future):
        seen.append(bolide.get(square.remote(future.result())))
        done.set()

    square.remote(2).future().add_done_callback(note)
    assert done.wait(30)
    assert seen == [16]


def test_futures_in_wait_of_concurrent_futures(ray, square):
    futures = [square.remote(i).future() for i in range(10)]
    done, rest = concurrent.futures.wait(futures, timeout=30)
    assert (len(done), len(rest)) == (10, 0)


def test_await_in_a_task(ray, square):
    @ray.remote
    def outer():
        async def main():
            return await asyncio.gather(*[square.remote(i) for i in range(10)])

        return asyncio.run(main()), square.remote(11).future().result()

    assert ray.get(outer.remote()) == ([i * i for i in range(10)], 121)


def test_shutdown_resolves_what_waits(ray, latch, channel):
    @ray.remote
    def slow():
        channel.say("in")
        latch.wait()

    ref = slow.remote()
    channel.hear()
    future = ref.future()

    async def main():
        waiting = asyncio.ensure_future(ref.as_future())
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, bolide.shutdown)
        with pytest.raises(bolide.exceptions.RaySystemError):
            await waiting

    asyncio.run(main())
    assert isinstance(future.exception(timeout=5), bolide.exceptions.RaySystemError)

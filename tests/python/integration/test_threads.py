"""The runtime from many threads at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import bolide

THREADS = 16


@pytest.fixture
def pool():
    with ThreadPoolExecutor(THREADS) as made:
        yield made


def in_all(pool, function):
    """Runs function(i) in 16 threads that begin together; the results in order."""
    barrier = threading.Barrier(THREADS)

    def begin(i):
        barrier.wait()
        return function(i)

    return list(pool.map(begin, range(THREADS)))


def test_submit_and_get(ray, pool):
    @ray.remote
    def add(x, y):
        return x + y

    def work(i):
        return [bolide.get(add.remote(i, j)) for j in range(100)]

    assert in_all(pool, work) == [[i + j for j in range(100)] for i in range(THREADS)]


def test_batches(ray, pool):
    @ray.remote
    def square(x):
        return x * x

    def work(i):
        return sum(bolide.get([square.remote(j) for j in range(i, i + 200)]))

    assert in_all(pool, work) == [sum(j * j for j in range(i, i + 200)) for i in range(THREADS)]


def test_wait_loops(ray, pool):
    @ray.remote
    def same(x):
        return x

    def work(i):
        pending, seen = [same.remote((i, j)) for j in range(50)], []
        while pending:
            ready, pending = bolide.wait(pending, num_returns=min(3, len(pending)))
            seen += bolide.get(ready)
        return sorted(seen)

    assert in_all(pool, work) == [[(i, j) for j in range(50)] for i in range(THREADS)]


def test_all_get_the_same_reference(ray, pool, latch):
    @ray.remote
    def source():
        latch.wait()
        return [1] * 50_000

    ref = source.remote()
    opener = threading.Timer(0.05, latch.open)
    opener.start()
    assert in_all(pool, lambda i: len(bolide.get(ref))) == [50_000] * THREADS
    opener.join()


def test_each_waits_for_its_own(ray, pool, make_latch):
    latches = [make_latch() for _ in range(THREADS)]

    @ray.remote(num_cpus=0)
    def source(i):
        latches[i].wait()
        return i

    def work(i):
        ref = source.remote(i)
        if i < THREADS - 1:
            latches[i + 1].open()  # they end in the order of the threads
        else:
            latches[0].open()
        return bolide.get(ref)

    assert in_all(pool, work) == list(range(THREADS))


def test_puts_and_references(ray, pool, stats, eventually):
    def work(i):
        for size in (1, 10_000, 300_000) * 5:
            refs = [bolide.put(bytes([i]) * size) for _ in range(5)]
            assert bolide.get(refs) == [bytes([i]) * size] * 5
        return True

    assert all(in_all(pool, work))
    eventually(lambda: stats()["objects"], 0)


def test_one_function_exported_by_all_at_once(ray, pool):
    @ray.remote
    def name(i):
        return f"n{i}"

    assert in_all(pool, lambda i: bolide.get(name.remote(i))) == [f"n{i}" for i in range(THREADS)]


def test_auto_init_by_all_at_once(pool):
    assert not bolide.is_initialized()
    assert in_all(pool, lambda i: bolide.get(bolide.put(i))) == list(range(THREADS))
    assert bolide.is_initialized()


def test_a_thread_that_drops_what_another_made(ray, pool):
    @ray.remote
    def same(x):
        return x

    made = [[same.remote(j) for j in range(100)] for _ in range(THREADS)]
    assert in_all(pool, lambda i: bolide.get(made[i].pop())) == [99] * THREADS
    in_all(pool, lambda i: made[(i + 5) % THREADS].clear())


def test_shutdown_wakes_threads_that_wait(ray, pool, channel, latch):
    @ray.remote
    def long():
        channel.say("in")
        latch.wait()

    refs = [long.remote() for _ in range(2)]
    channel.hear(2)
    arrived = threading.Barrier(5)

    def work(i):
        arrived.wait()
        with pytest.raises(bolide.exceptions.RaySystemError, match="shut down"):
            bolide.get(refs[i % 2])
        return True

    waiting = [pool.submit(work, i) for i in range(4)]
    arrived.wait()
    ray.shutdown()
    assert all(future.result() for future in waiting)

"""util.queue: items are got once and in order, by anybody."""

from __future__ import annotations

import asyncio

import pytest

from bolide.util.queue import Empty, Full, Queue


def test_items_come_in_order(ray):
    queue = Queue()
    for i in range(10):
        queue.put(i)
    assert (queue.size(), queue.qsize(), len(queue), queue.empty()) == (10, 10, 10, False)
    assert [queue.get() for _ in range(10)] == list(range(10))
    assert queue.empty() and not queue.full()


def test_a_full_queue(ray):
    queue = Queue(maxsize=1)
    queue.put(1)
    assert queue.full() and queue.maxsize == 1
    with pytest.raises(Full):
        queue.put_nowait(2)
    with pytest.raises(Full):
        queue.put(2, timeout=0.01)
    assert queue.get() == 1
    queue.put(3)
    assert queue.get_nowait() == 3


def test_an_empty_queue(ray):
    queue = Queue()
    with pytest.raises(Empty):
        queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    for call in (lambda: queue.get(timeout=-1), lambda: queue.put(1, timeout=-1)):
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
            call()


def test_batches_are_all_or_nothing(ray):
    queue = Queue(maxsize=4)
    queue.put_nowait_batch(iter([1, 2, 3]))
    with pytest.raises(Full, match="Cannot add 2 items to queue of size 3 and maxsize 4"):
        queue.put_nowait_batch([4, 5])
    with pytest.raises(Empty, match="Cannot get 4 items from queue of size 3"):
        queue.get_nowait_batch(4)
    assert queue.get_nowait_batch(2) == [1, 2]
    assert queue.get_nowait_batch(0) == []
    with pytest.raises(TypeError, match="'items' must be an Iterable"):
        queue.put_nowait_batch(5)
    with pytest.raises(TypeError, match="'num_items' must be an int"):
        queue.get_nowait_batch("2")
    with pytest.raises(ValueError, match="'num_items' must be nonnegative"):
        queue.get_nowait_batch(-1)


def test_tasks_share_a_queue(ray):
    @ray.remote
    def produce(queue, first):
        for i in range(50):
            queue.put(first + i)

    @ray.remote
    def consume(queue):
        return [queue.get() for _ in range(50)]

    queue = Queue(maxsize=5)
    consumed = [consume.remote(queue) for _ in range(2)]
    ray.get([produce.remote(queue, 0), produce.remote(queue, 100)])
    items = sum(ray.get(consumed), [])
    assert sorted(items) == [*range(50), *range(100, 150)]


def test_references_are_items(ray):
    queue = Queue()
    ref = ray.put("value")
    queue.put(ref)
    assert queue.get() == ref


def test_in_coroutines(ray):
    async def main():
        queue = Queue(maxsize=2)
        getter = asyncio.ensure_future(queue.get_async())
        await queue.put_async("a")
        assert await getter == "a"
        with pytest.raises(Empty):
            await queue.get_async(block=False)
        await queue.put_async("b", timeout=30)
        await queue.put_async("c", block=False)
        with pytest.raises(Full):
            await queue.put_async("d", timeout=0.01)
        return [await queue.get_async(), await queue.get_async(timeout=30)]

    assert asyncio.run(main()) == ["b", "c"]


@pytest.mark.parametrize("force", [False, True])
def test_shutdown_ends_the_actor(ray, force):
    queue = Queue(actor_options={"name": "jobs"})
    queue.put(1)
    actor = ray.get_actor("jobs")
    queue.shutdown(force=force)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.qsize.remote())
    queue.shutdown()

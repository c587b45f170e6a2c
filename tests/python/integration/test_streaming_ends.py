"""Remote generators that are dropped, cancelled or killed."""

from __future__ import annotations

import os
import signal

import pytest

import bolide
from bolide.exceptions import TaskCancelledError, WorkerCrashedError

from .streamed import values


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

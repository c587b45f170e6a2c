"""Generator methods of actors."""

from __future__ import annotations

import os
import signal

import pytest

from .streamed import values


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

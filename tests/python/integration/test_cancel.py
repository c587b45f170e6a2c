"""cancel: tasks that wait, that are queued, that run."""

from __future__ import annotations

import os
import time

import pytest

import bolide
from bolide import _hot
from bolide.exceptions import TaskCancelledError, WorkerCrashedError

from .cancelled import LONG, assert_cancelled


def test_a_task_that_runs_is_interrupted(ray, sleepy, channel):
    ref = sleepy.remote()
    channel.hear()
    assert ray.cancel(ref) is None
    assert_cancelled(
        ref, r"^Task \w{16} was cancelled. It is a call of '.*sleepy' that was running.$"
    )
    assert_cancelled(ref)


def test_no_worker_is_lost_by_interrupts(ray, sleepy, channel, stats):
    ray.get(ray.remote(lambda: None).remote())
    for _ in range(20):
        ref = sleepy.remote()
        channel.hear()
        ray.cancel(ref)
        assert_cancelled(ref)
    assert stats()["started_workers"] <= 2


def test_a_busy_loop_is_interrupted(ray, channel):
    @ray.remote
    def spin():
        channel.say("in")
        while True:
            pass

    ref = spin.remote()
    channel.hear()
    ray.cancel(ref)
    assert_cancelled(ref)


def test_a_task_in_get_is_interrupted(ray, latch, channel):
    @ray.remote
    def inner():
        latch.wait()

    @ray.remote
    def outer(refs):
        channel.say("in")
        ray.get(refs)

    wanted = inner.remote()
    ref = outer.remote([wanted])
    channel.hear()
    ray.cancel(ref, recursive=False)
    assert_cancelled(ref)
    latch.open()
    assert ray.get(wanted) is None


def test_user_code_sees_a_keyboard_interrupt_and_cleans_up(ray, channel):
    @ray.remote
    def tidy():
        try:
            channel.say("in")
            time.sleep(LONG)
        except KeyboardInterrupt as error:
            channel.say(f"{type(error).__name__} {_hot.is_interrupted()}")
            raise
        finally:
            channel.say("clean")

    ref = tidy.remote()
    channel.hear()
    ray.cancel(ref)
    assert channel.hear(2) == ["KeyboardInterrupt True", "clean"]
    assert_cancelled(ref)


def test_what_a_task_returns_in_spite_of_it_is_its_result(ray, channel):
    @ray.remote
    def stubborn(other):
        try:
            channel.say("in")
            time.sleep(LONG)
        except KeyboardInterrupt:
            if other:
                raise ValueError("instead") from None
            return "done"

    refs = [stubborn.remote(False), stubborn.remote(True)]
    channel.hear(2)
    for ref in refs:
        ray.cancel(ref)
    assert ray.get(refs[0]) == "done"
    with pytest.raises(ValueError, match="instead"):
        ray.get(refs[1])


def test_an_interrupt_comes_once(ray, channel, latch):
    @ray.remote
    def slow_to_leave():
        try:
            channel.say("in")
            time.sleep(LONG)
        finally:
            for _ in range(3):
                ray.get(ray.remote(num_cpus=0)(latch.wait).remote())
            channel.say("out")

    ref = slow_to_leave.remote()
    channel.hear()
    for _ in range(5):
        ray.cancel(ref, recursive=False)
    latch.open()
    assert channel.hear() == ["out"]
    assert_cancelled(ref)


def test_a_task_in_the_queue_never_runs(ray, sleepy, channel, journal):
    @ray.remote
    def note():
        journal.note("ran")

    blockers = [sleepy.remote() for _ in range(2)]
    channel.hear(2)
    queued = [note.remote() for _ in range(50)]
    for ref in queued:
        ray.cancel(ref)
    for ref in queued:
        assert_cancelled(ref, "that had not begun.$")
    for ref in blockers:
        ray.cancel(ref)
        assert_cancelled(ref)
    assert ray.get(ray.remote(lambda: 1).remote()) == 1
    assert journal.lines() == []


def test_a_task_behind_another_in_a_ring_is_taken_out(ray, latch, channel, stats):
    @ray.remote
    def step(i):
        if i == 100:
            channel.say("in")
            latch.wait()
        return i

    ray.get([step.remote(i) for i in range(99)])  # so that several are sent ahead
    refs = [step.remote(i) for i in range(100, 400)]
    channel.hear()
    for ref in refs[1::2]:
        ray.cancel(ref)
    latch.open()
    cancelled = 0
    for i, ref in enumerate(refs):
        try:
            assert ray.get(ref) == 100 + i
        except TaskCancelledError:
            cancelled += 1
            assert i % 2 == 1
    assert stats()["tasks"] == 0
    assert cancelled <= 150


def test_a_task_that_waits_for_an_argument(ray, sleepy, channel):
    @ray.remote
    def use(*_):
        return 1

    argument = sleepy.remote()
    channel.hear()
    waiting = use.remote(argument, argument)
    ray.cancel(waiting)
    assert_cancelled(waiting, "had not begun")
    other = use.remote(argument)
    ray.cancel(argument)
    assert_cancelled(argument)
    assert_cancelled(other)  # its argument was cancelled


def test_those_that_wait_for_a_cancelled_task_fail(ray, sleepy, channel):
    @ray.remote
    def use(x):
        return x

    blockers = [sleepy.remote() for _ in range(2)]
    channel.hear(2)
    first = use.remote(1)
    chain = [first]
    for _ in range(20):
        chain.append(use.remote(chain[-1]))
    ray.cancel(first)
    for ref in chain:
        assert_cancelled(ref)
    for ref in blockers:
        ray.cancel(ref)


@pytest.mark.parametrize("force", [False, True])
def test_what_has_ended_stays_as_it_is(ray, force):
    @ray.remote
    def fail():
        raise KeyError

    done, failed, put = ray.remote(lambda: 1).remote(), fail.remote(), ray.put(2)
    ray.wait([done, failed], num_returns=2)
    for ref in (done, failed, put):
        ray.cancel(ref, force=force)
    assert ray.get([done, put]) == [1, 2]
    with pytest.raises(KeyError):
        ray.get(failed)


def test_force_kills_the_worker(ray, channel):
    @ray.remote
    def stubborn():
        words = [os.getpid()]
        while True:
            try:
                if words:
                    channel.say(words.pop())
                time.sleep(LONG)
            except KeyboardInterrupt:
                channel.say("no")

    ref = stubborn.remote()
    (pid,) = channel.hear()
    ray.cancel(ref)
    assert channel.hear() == ["no"]
    ray.cancel(ref, force=True)
    text = rf"\(pid {pid}\) that ran the task '.*stubborn' was killed by cancel\(force=True\)"
    with pytest.raises(WorkerCrashedError, match=text):
        ray.get(ref)


def test_force_on_a_task_that_has_not_begun(ray, sleepy, channel, stats):
    blockers = [sleepy.remote() for _ in range(2)]
    channel.hear(2)
    ref = sleepy.remote()
    ray.cancel(ref, force=True)
    assert_cancelled(ref, "had not begun")
    for blocker in blockers:
        ray.cancel(blocker)
        assert_cancelled(blocker)
    assert stats()["started_workers"] == 2


def test_a_cancelled_task_is_not_retried(ray, channel, journal):
    @ray.remote(max_retries=-1, retry_exceptions=True)
    def restless(how):
        journal.note("run")
        try:
            channel.say("in")
            time.sleep(LONG)
        except KeyboardInterrupt:
            if how == "raise":
                raise ValueError from None
            if how == "die":
                os._exit(3)
            raise

    for how in ("pass", "raise", "die"):
        ref = restless.remote(how)
        channel.hear()
        ray.cancel(ref)
        assert_cancelled(ref)
    ref = restless.remote("force")
    channel.hear()
    ray.cancel(ref, force=True)
    with pytest.raises(WorkerCrashedError):
        ray.get(ref)
    assert journal.lines() == ["run"] * 4


def test_several_returns(ray, channel):
    @ray.remote(num_returns=3)
    def sleepy():
        channel.say("in")
        time.sleep(LONG)

    refs = sleepy.remote()
    channel.hear()
    ray.cancel(refs[1])
    for ref in refs:
        assert_cancelled(ref)


def test_a_task_stopped_before_its_code_begins(ray, sleepy, channel):
    """Function and arguments are read by user code, which may take long."""

    class Slow:
        def __reduce__(self):
            return wait_here, (channel,)

    def wait_here(channel):
        channel.say("reading")
        time.sleep(LONG)

    ref = sleepy.remote(Slow())
    assert channel.hear() == ["reading"]
    ray.cancel(ref)
    assert_cancelled(ref)


@pytest.mark.parametrize("bad", [None, 1, "ref", [1], object()])
def test_only_references_can_be_cancelled(ray, bad):
    with pytest.raises(TypeError, match=r"ray.cancel\(\) only supported for object refs. .*Got: "):
        ray.cancel(bad)


def test_a_reference_of_an_ended_session():
    bolide.init(num_cpus=1)
    ref = bolide.put(1)
    bolide.shutdown()
    with pytest.raises(bolide.exceptions.RaySystemError, match="was shut down"):
        bolide.cancel(ref)

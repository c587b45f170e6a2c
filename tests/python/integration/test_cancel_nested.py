"""cancel: tasks that others have started, and those that wait for them."""

from __future__ import annotations

import time

import pytest

import bolide
from bolide.exceptions import RayTaskError, TaskCancelledError

from .cancelled import LONG, assert_cancelled


def test_children_are_cancelled_too(ray, sleepy, channel):
    @ray.remote
    def middle():
        return ray.get(sleepy.remote())

    @ray.remote
    def top():
        refs = [middle.remote() for _ in range(2)]
        channel.say(len(refs))
        return ray.get(refs)

    ref = top.remote()
    assert sorted(channel.hear(3)) == ["2", "in", "in"]
    ray.cancel(ref)
    assert_cancelled(ref)
    free = bolide.available_resources
    assert ray.get(ray.remote(num_cpus=2)(lambda: 1).remote()) == 1  # nobody holds a CPU
    assert free()["CPU"] == 2


def test_children_go_on_without_recursive(ray, latch, channel, journal):
    @ray.remote
    def child():
        channel.say("child")
        latch.wait()
        journal.note("child")

    @ray.remote
    def parent():
        ref = child.remote()
        channel.say("parent")
        ray.get(ref)

    ref = parent.remote()
    channel.hear(2)
    ray.cancel(ref, recursive=False)
    assert_cancelled(ref)
    latch.open()
    ray.get(ray.remote(num_cpus=2)(lambda: None).remote())  # it needs both CPUs
    assert journal.lines() == ["child"]


def test_a_task_that_runs_on_top_of_another(ray, channel):
    @ray.remote
    def leaf(depth):
        channel.say(depth)
        time.sleep(LONG)

    @ray.remote
    def tree(depth):
        if depth == 0:
            return ray.get(leaf.remote(depth))
        return ray.get([tree.remote(depth - 1) for _ in range(2)])

    ref = tree.remote(5)
    channel.hear()
    ray.cancel(ref)
    assert_cancelled(ref)
    assert ray.get(ray.remote(lambda: "free").remote()) == "free"


def test_a_task_cancels_others(ray, sleepy, channel):
    @ray.remote
    def cancel_it(box):
        ray.cancel(box[0])
        with pytest.raises(TaskCancelledError):
            ray.get(box[0])
        return "cancelled"

    ref = sleepy.remote()
    channel.hear()
    assert ray.get(cancel_it.remote([ref])) == "cancelled"
    assert_cancelled(ref)

    @ray.remote
    def wait_for(box):
        ray.cancel(box[0])
        time.sleep(LONG)

    own = sleepy.remote()
    channel.hear()
    other = wait_for.remote([own])
    assert_cancelled(own)
    ray.cancel(other)
    assert_cancelled(other)


def test_an_error_through_a_nested_get_is_a_cancellation_too(ray, sleepy, channel):
    @ray.remote
    def outer(box):
        return ray.get(box[0])

    inner = sleepy.remote()
    channel.hear()
    ref = outer.remote([inner])
    ray.cancel(inner)
    with pytest.raises(TaskCancelledError) as caught:
        ray.get(ref)
    assert isinstance(caught.value, RayTaskError)

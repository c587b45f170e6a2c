"""A worker stopped in each step of its rings and of the store (RELIABILITY B1-4, B1-5, B1-7, A16).

A task arms the fault in its own process, on its first attempt only; the journal tells attempts.
"""

from __future__ import annotations

import gc

import numpy
import pytest
from fault_tools import wait_until

import bolide
from bolide import _core
from bolide.exceptions import RaySystemError

pytestmark = pytest.mark.fault_points

KILLING_POINTS = ("ring.commit", "ring.publish.1", "ring.publish.2")


def large():
    return numpy.arange(50_000)


def arm_once(journal, name, plan):
    journal.note(name)
    if journal.count(name) == 1:
        _core.arm_faults(plan, 0)


@bolide.remote
def one_more(x):
    return x + 1


def put_small(value):
    return bolide.get(bolide.put(value))


def put_large(value):
    assert (bolide.get(bolide.put(large())) == large()).all()
    return value


def submit(value):
    return bolide.get(one_more.remote(value)) - 1


def get_of_reference(value):
    inner = one_more.remote(value)
    bolide.wait([inner])
    return bolide.get(inner) - 1


def print_lines(value):
    for i in range(3):
        print("line", i)
    return value


def return_only(value):
    return value


STEPS = (put_small, put_large, submit, get_of_reference, print_lines, return_only)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("point", KILLING_POINTS)
def test_b1_07_killed_in_each_step_of_the_ring(two, journal, point, nth):
    """For each kind of record: the task is run once more at most, its result is right."""
    before = None
    for step in STEPS:
        name = step.__name__

        @bolide.remote
        def task(name=name, step=step):
            arm_once(journal, name, f"{point}=kill@{nth}")
            return step(name) if step is not submit and step is not get_of_reference else step(5)

        ref = task.remote()
        expected = 5 if step in (submit, get_of_reference) else name
        assert two.get(ref, timeout=60) == expected
        assert journal.count(name) in (1, 2)
    total = sum(count - 1 for count in journal.counts().values())
    assert total <= two.retries
    del ref, task, before
    gc.collect()
    wait_until(lambda: two.stats["store"]["live"] == 0, what="the release of all bytes")
    wait_until(lambda: two.stats["tasks"] == 0)
    assert two.node.audit()


@pytest.mark.parametrize("point", ["ring.commit", "ring.publish.1"])
def test_b1_04_killed_before_the_result_is_announced_runs_again(one, journal, point):
    @bolide.remote
    def task():
        arm_once(journal, "task", f"{point}=kill@1")
        return large()

    assert (one.get(task.remote()) == large()).all()
    assert journal.count("task") == 2 and one.retries == 1


def test_b1_04_killed_after_the_result_is_announced_runs_once(one, journal):
    @bolide.remote
    def task():
        arm_once(journal, "task", "ring.publish.2=kill@1")
        return 7

    assert one.get(task.remote()) == 7
    assert journal.count("task") == 1 and one.retries == 0


def test_a1_killed_when_it_has_claimed_a_task_burns_its_retry(one, journal):
    @bolide.remote
    def arms():
        _core.arm_faults("claim.stored=kill@1", 0)

    @bolide.remote
    def victim():
        journal.note("victim")
        return 1

    one.get(arms.remote())
    assert one.get(victim.remote()) == 1
    assert journal.count("victim") == 1 and one.retries == 1


@pytest.mark.parametrize("point", ["store.chunk.mapped", "store.chunk.sealed"])
def test_b1_05_killed_while_it_takes_memory_for_a_put(one, journal, point):
    @bolide.remote
    def task():
        arm_once(journal, "task", f"{point}=kill@1")
        return bolide.put(large())

    ref = one.get(task.remote())
    assert (one.get(ref) == large()).all()
    assert journal.count("task") == 2
    del ref
    gc.collect()
    wait_until(lambda: one.stats["store"]["live"] == 0)


def test_b1_07_delays_in_every_step_change_nothing(two):
    """Slow steps at random places open every window between two processes a little wider."""

    @bolide.remote
    def arm():
        _core.arm_faults("ring.*=delay:300%100;claim.*=delay:300%100", 3)

    _core.arm_faults("ring.*=delay:300%20;takeback.*=delay:500%200", 5)
    try:
        two.get([arm.remote() for _ in range(4)])
        refs = [one_more.remote(i) for i in range(1500)]
        assert two.get(refs, timeout=60) == [i + 1 for i in range(1500)]
        nested = bolide.remote(lambda n: sum(bolide.get([one_more.remote(i) for i in range(n)])))
        assert two.get([nested.remote(10) for _ in range(20)], timeout=60) == [55] * 20
    finally:
        _core.arm_faults("", 0)
    assert two.node.audit() and two.retries == 0


@pytest.mark.parametrize(
    "point", ["process.spawn", "memfd.create", "event.create", "pipe.create", "socket.create",
              "process.pidfd", "thread.start", "memory.map"]
)  # fmt: skip
def test_a16_init_fails_with_a_sentence_and_leaves_nothing(start, point):
    for nth in range(1, 12):
        _core.arm_faults(f"{point}=fail@{nth}", 0)
        try:
            runtime = start(num_cpus=1)
        except RaySystemError as error:
            assert len(str(error)) > 10
            assert not bolide.is_initialized()
            continue
        finally:
            _core.arm_faults("", 0)
        assert runtime.get(one_more.remote(1), timeout=30) == 2
        bolide.shutdown()
        if nth > 6:
            break


@pytest.mark.parametrize("point", ["memfd.create", "memory.map", "memfd.seal"])
def test_a16_a_put_that_finds_no_memory_says_so(one, point):
    one.get(one_more.remote(1))
    _core.arm_faults(f"{point}=fail@1", 0)
    try:
        with pytest.raises(RaySystemError, match="cannot|Cannot"):
            one.put(large())
    finally:
        _core.arm_faults("", 0)
    ref = one.put(large())
    assert (one.get(ref) == large()).all()


def test_a16_a_worker_that_cannot_take_memory_fails_its_task_only(one):
    @bolide.remote
    def task(plan):
        _core.arm_faults(plan, 0)
        try:
            return bolide.get(bolide.put(large())).sum()
        finally:
            _core.arm_faults("", 0)

    for plan in ("memory.map=fail", "memory.map=fail@1"):
        with pytest.raises(RaySystemError, match="cannot map .* Memory or address space is"):
            one.get(task.remote(plan), timeout=30)
    assert one.get(task.remote(""), timeout=30) == large().sum()

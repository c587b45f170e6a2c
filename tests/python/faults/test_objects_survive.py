"""What killed workers had made stays, what they held is released (RELIABILITY A3, B1-4 to B1-6)."""

from __future__ import annotations

import gc
import os
import signal

import numpy
import pytest
from fault_tools import pass_gate, wait_until

import bolide

SMALL = {"a": [1, 2, 3]}
LARGE_ITEMS = 40_000  # 320 kB, in the store


def large(seed):
    return numpy.arange(seed, seed + LARGE_ITEMS, dtype=numpy.int64)


@bolide.remote
def makes(seed):
    return [bolide.put(SMALL), bolide.put(large(seed)), [bolide.put([bolide.put(seed)])]]


@bolide.remote
def returns_large(seed):
    return large(seed)


def kill_all(runtime):
    victims = runtime.pids()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(victims) & set(runtime.pids()), what="the end of the workers")


def objects_of_killed_workers(two, rounds):
    for round in range(rounds):
        nested = [makes.remote(round * 10 + i) for i in range(4)]
        plain = [returns_large.remote(round * 10 + i) for i in range(4)]
        inside = two.get(nested)
        two.wait(plain, num_returns=len(plain))
        kill_all(two)
        for i, (small, stored, ((outer),)) in enumerate(inside):
            seed = round * 10 + i
            assert two.get(small) == SMALL
            assert (two.get(stored) == large(seed)).all()
            assert two.get(two.get(outer)[0]) == seed
            assert (two.get(plain[i]) == large(seed)).all()
    assert two.retries == 0


def test_a3_objects_of_killed_workers_stay_readable(two):
    objects_of_killed_workers(two, 5)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a3_objects_of_a_thousand_killed_workers_stay_readable(two):
    objects_of_killed_workers(two, 500)


def test_a3_views_of_a_killed_workers_objects_stay_readable(two):
    view = two.get(returns_large.remote(5))
    kill_all(two)
    gc.collect()
    assert (view == large(5)).all()
    assert two.get(returns_large.remote(6))[0] == 6
    assert (view == large(5)).all()


def test_a3_nested_references_that_nobody_got_survive(two):
    ref = makes.remote(7)
    two.wait([ref])
    kill_all(two)
    small, stored, _ = two.get(ref)
    assert two.get(small) == SMALL and (two.get(stored) == large(7)).all()


def test_b1_06_references_held_by_a_killed_worker_are_released(one):
    kept = []

    @bolide.remote
    def keep(refs):
        kept.extend(refs)
        return len(kept)

    one.get(keep.remote([]))
    gc.collect()
    wait_until(lambda: one.stats["tasks"] == 0)
    before = one.stats
    refs = [one.put(i) for i in range(1000)] + [one.put(large(i)) for i in range(5)]
    assert one.get(keep.remote(refs)) == 1005
    del refs
    gc.collect()
    assert one.stats["objects"] >= before["objects"] + 1005
    kill_all(one)
    wait_until(lambda: one.stats["objects"] <= before["objects"], what="the release of 1,005 refs")
    assert one.stats["store"]["live"] <= before["store"]["live"]
    assert one.node.audit()


def test_b1_06_references_of_a_task_that_dies_are_released(one, journal, gate):
    @bolide.remote(max_retries=0)
    def holds(refs, path):
        mine = [bolide.put(large(i)) for i in range(3)] + bolide.get(refs)
        journal.note("holds")
        pass_gate(path)
        return mine

    gc.collect()
    before = one.stats
    refs = [one.put(large(i)) for i in range(3)]
    ref = holds.remote(refs, gate.path)
    (pid,) = wait_until(lambda: journal.pids("holds"))
    del refs
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(bolide.exceptions.WorkerCrashedError):
        one.get(ref)
    del ref
    gc.collect()
    wait_until(lambda: one.stats["store"]["live"] == before["store"]["live"])
    # The exported function may stay as long as its handle.
    wait_until(lambda: one.stats["objects"] <= before["objects"] + 1)


def test_b1_05_killed_in_the_middle_of_large_puts(two, journal):
    """Kills at random moments of puts and returns of stored values; nothing half-made is seen."""
    import random
    import threading

    @bolide.remote(max_retries=-1)
    def puts(i):
        journal.note(i)
        inner = [bolide.put(large(i + k)) for k in range(3)]
        return [*inner, large(i)]

    done = threading.Event()
    killed = []

    def killer():
        chance = random.Random(1)
        while not done.is_set() and len(killed) < 15:
            seen = len(journal.entries())
            wait_until(lambda seen=seen: len(journal.entries()) > seen or done.is_set(), 30)
            pids = two.pids()
            if pids and not done.wait(chance.random() * 0.01):
                victim = chance.choice(pids)
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(victim)

    gc.collect()
    before = two.stats["store"]["live"]
    thread = threading.Thread(target=killer)
    thread.start()
    i = 0
    while thread.is_alive():
        ref = puts.remote(i)
        *inner, whole = two.get(ref, timeout=60)
        assert (whole == large(i)).all()
        for k, each in enumerate(inner):
            assert (two.get(each) == large(i + k)).all()
        i += 1
    done.set()
    thread.join()
    del ref, inner, whole, each
    gc.collect()
    wait_until(lambda: two.stats["store"]["live"] == before, what="the release of all bytes")
    print(f"{len(killed)} kills in {i} tasks with large puts, {two.retries} retries")
    assert two.node.audit()

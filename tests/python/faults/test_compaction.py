"""Chunks that are mostly holes are emptied and closed, whoever holds what lies in them (A10)."""

from __future__ import annotations

import os
import random
import signal

import numpy
import pytest
from fault_tools import wait_until

import bolide

KIB = 1024
MIB = 1 << 20
PIECE = 64 * KIB


@bolide.remote
def piece(seed):
    return numpy.full(PIECE // 8, seed)


@bolide.remote
def puts(seeds):
    return [bolide.put(numpy.full(PIECE // 8, seed)) for seed in seeds]


def check(runtime, refs):
    """The references, {seed: ref}, have their values."""
    for seed, ref in refs.items():
        value = runtime.get(ref)
        assert len(value) == PIECE // 8 and (value == seed).all()


def fill(runtime, count=400):
    """`count` objects of a worker: {seed: ref}."""
    refs = {}
    for begin in range(0, count, 50):
        seeds = range(begin, begin + 50)
        refs.update(zip(seeds, runtime.get(puts.remote(list(seeds))), strict=True))
    return refs


def thin_out(refs, every=20):
    for seed in list(refs):
        if seed % every:
            del refs[seed]


def used(runtime):
    store = runtime.stats["store"]
    return store["touched"] - store["warm"]


def compacted(runtime, seconds=3.0):
    wait_until(
        lambda: runtime.stats["store"]["live"] >= 0.8 * used(runtime),
        seconds,
        "the end of compaction",
    )
    assert runtime.node.audit()


@pytest.mark.parametrize("writer", ["worker", "dead worker", "driver"])
def test_chunks_that_are_mostly_holes_are_closed(one, writer):
    if writer == "driver":
        refs = {seed: one.put(numpy.full(PIECE // 8, seed)) for seed in range(400)}
    else:
        refs = fill(one)
    if writer == "dead worker":
        os.kill(one.pids()[0], signal.SIGKILL)
        wait_until(lambda: not one.pids(), what="the end of the worker")
    assert used(one) >= 25 * MIB
    thin_out(refs)
    compacted(one)
    assert used(one) <= 2 * MIB
    check(one, refs)


def test_views_keep_their_chunk_and_stay_right(one):
    refs = fill(one)
    thin_out(refs)
    views = {seed: one.get(ref) for seed, ref in refs.items()}
    addresses = {seed: view.ctypes.data for seed, view in views.items()}
    one.get(piece.remote(1))
    before = used(one)
    assert before >= 20 * MIB  # nothing could be closed
    for seed, view in views.items():
        assert (view == seed).all() and view.ctypes.data == addresses[seed]
    del view
    views.clear()
    compacted(one)
    check(one, refs)


def test_what_a_worker_has_read_moves_when_it_has_forgotten_it(one, gate):
    """A worker that holds references, and once had views, is asked to forget where values lie."""

    @bolide.remote
    def holder(refs, path):
        from fault_tools import pass_gate

        def values_are_right():
            return all(
                (bolide.get(ref) == seed).all() and len(bolide.get(ref)) == PIECE // 8
                for seed, ref in refs.items()
            )

        first = values_are_right()
        bolide.get(announce.remote())  # the driver sees that it has come here
        pass_gate(path)
        return first, values_are_right()

    refs = {seed: one.put(numpy.full(PIECE // 8, seed)) for seed in range(400)}
    kept = {seed: ref for seed, ref in refs.items() if seed % 20 == 0}
    result = holder.remote(kept, gate.path)
    announced = announce.remote()
    one.get(announced)
    refs.clear()
    del kept
    compacted(one)
    assert used(one) <= 2 * MIB
    gate.open()
    assert one.get(result) == (True, True)


@bolide.remote
def announce():
    return None


def test_arguments_of_a_running_task_stay_where_they_are(two, gate):
    @bolide.remote
    def long(array, path):
        from fault_tools import pass_gate

        before = array.sum()
        pass_gate(path)
        return before, array.sum()

    refs = {seed: two.put(numpy.full(PIECE // 8, seed)) for seed in range(200)}
    result = long.remote(refs[0], gate.path)
    two.get([piece.remote(i) for i in range(20)])  # others go on meanwhile
    for seed in range(1, 200):
        del refs[seed]
    refs.clear()
    two.get([piece.remote(i) for i in range(20)])
    gate.open()
    assert two.get(result) == (0, 0)


def test_a_mix_of_sizes(two):
    """live/used >= 0.8 under random objects from 4 KiB to 8 MiB.

    Used is what chunks with objects take; empty ones that are kept warm have a limit of their own.
    """
    random.seed(5)

    @bolide.remote
    def make(size):
        return numpy.full(size // 8, size)

    live, ratios, with_warm = {}, [], []
    for number in range(4000):
        size = int(4 * KIB * 2 ** (random.random() * 11))
        ref = make.remote(size) if number % 2 else two.put(numpy.full(size // 8, size))
        live[number] = ref, size
        while len(live) > 300:
            del live[random.choice(list(live))]
        if number >= 1000 and number % 50 == 0:
            ref, size = random.choice(list(live.values()))
            value = two.get(ref)
            assert len(value) == size // 8 and (value == size).all()
            del value
            store = two.stats["store"]
            ratios.append(store["live"] / (store["touched"] - store["warm"]))
            with_warm.append(store["live"] / store["touched"])
    print(
        f"live/used: mean {sum(ratios) / len(ratios):.3f}, least {min(ratios):.3f}; with the warm "
        f"chunks: mean {sum(with_warm) / len(with_warm):.3f}, least {min(with_warm):.3f}"
    )
    assert sum(ratios) / len(ratios) >= 0.8
    for ref, size in live.values():
        assert (two.get(ref) == size).all()
    live.clear()
    del ref, size

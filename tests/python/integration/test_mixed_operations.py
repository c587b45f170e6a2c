"""Programs that hypothesis makes of puts, tasks, streams, actors and handles leave nothing behind.

What they get is checked against a model; when a program has let go of everything, the node's tables
hold the functions that it calls and nothing else.
"""

from __future__ import annotations

import gc
import sys
import time

import numpy
import pytest

import bolide
from bolide import _runtime

from .mixed_actors import Actors
from .mixed_things import (
    FUNCTIONS,
    KEEPERS,
    Pair,
    add,
    call_through,
    count,
    count_into_one,
    die_with,
    fail,
    fail_with,
    make_keeper,
    rebox,
    total,
    twice,
)
from .state_machine import run_machine

TABLES = "objects", "functions", "tasks", "actors", "bytes"


class Mixed(Actors):
    def teardown(self):
        super().teardown()
        # An operation that has failed holds what it was about; hypothesis's own are no Exception.
        if not isinstance(sys.exc_info()[1], Exception):
            check_nothing_is_left()


def check_nothing_is_left():
    """Within seconds there are no objects but the functions and classes of mixed_things.py."""
    exported = len(FUNCTIONS) + len(KEEPERS)
    deadline = time.monotonic() + 20
    while (left := tables()) != (exported, exported, 0, 0, 0) and time.monotonic() < deadline:
        gc.collect()
    assert left == (exported, exported, 0, 0, 0)
    assert _runtime._node.audit()


def tables():
    stats = _runtime._node.stats()
    return tuple({**stats, "bytes": stats["store"]["live"]}[name] for name in TABLES)


def use_everything_once():
    keepers = [cls.remote(1) for cls in KEEPERS.values()]
    pair = Pair(bolide.put(1), keepers[0])
    calls = [keeper.add.remote(1) for keeper in keepers]
    calls += [call_through.remote(pair), add.remote(1, 1), total.remote(numpy.full(2, 1))]
    assert bolide.get(calls) == [2] * 5
    assert bolide.get(twice.remote(1)) == [1, 2] and len(list(count.remote(2))) == 2
    assert len(bolide.get(rebox.remote([], 1))) == len(bolide.get(count_into_one.remote(1))) == 1
    bolide.wait([fail.remote(1), fail_with.remote(pair), die_with.remote(pair)], num_returns=3)
    bolide.kill(bolide.get(make_keeper.remote(KEEPERS[False], 1, "keeper"))["handle"])


def run(examples, number):
    use_everything_once()  # what is exported then lives as long as its module
    check_nothing_is_left()
    run_machine(Mixed, examples, 60, number)


@pytest.mark.slow
def test_mixed_operations_leave_the_tables_empty(ray):
    Mixed.operations = 0
    run(examples=15, number=4711)
    assert Mixed.operations > 300


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_mixed_operations_leave_the_tables_empty(ray, capsys):
    Mixed.operations = number = 0
    started = time.monotonic()
    while Mixed.operations < 100_000:
        number += 1
        run(examples=100, number=number)
    with capsys.disabled():
        print(
            f"\n{Mixed.operations} operations in {time.monotonic() - started:.0f} s; left: "
            f"{dict(zip(TABLES, tables()))}"
        )

"""bolide._core by itself: reference table, allocator, scheduler's queue, statistics, from Python.

The rules of each are tested in tests/cpp; this holds that the bindings reach them and refuse what
would break them.
"""

from __future__ import annotations

import random

import pytest

import bolide
from bolide import _core


def test_the_reference_table_keeps_values_until_they_are_erased():
    table = _core.ObjectTable()
    model = {}
    for i in range(1, 2000):
        table.add(i)
        assert table.get(i) is None
        model[i] = bytes([i % 256]) * (i % 60)
        table.set(i, model[i])
    assert len(table) == 1999
    assert table.heap_bytes() == sum(len(value) for value in model.values() if len(value) > 24)
    for i in random.Random(4).sample(sorted(model), 1000):
        table.erase(i)
        del model[i]
    assert {i: table.get(i) for i in model} == model
    assert len(table) == len(model)


def test_the_reference_table_refuses_what_would_break_it():
    table = _core.ObjectTable()
    table.add(5)
    for taken in (0, 5):
        with pytest.raises(ValueError, match=f"the id {taken} is 0 or taken"):
            table.add(taken)
    table.set(5, b"value")
    with pytest.raises(ValueError, match="the object 5 has its value"):
        table.set(5, b"other")
    for use in (lambda: table.get(6), lambda: table.set(6, b""), lambda: table.erase(6)):
        with pytest.raises(KeyError, match="there is no object 6"):
            use()
    assert table.get(5) == b"value"


def test_the_allocator_gives_places_that_do_not_overlap():
    spans = _core.SpanAllocator(1 << 16)
    taken = {}
    chance = random.Random(1)
    for _ in range(2000):
        size = chance.randrange(1, 5000)
        at = spans.allocate(size)
        if at is None or chance.random() < 0.4:
            if at is not None:
                taken[at] = size
            if taken:
                old = chance.choice(sorted(taken))
                assert spans.free(old, taken.pop(old))
        else:
            taken[at] = size
        places = sorted((at, at + size) for at, size in taken.items())
        assert all(end <= begin for (_, end), (begin, _) in zip(places, places[1:]))
        assert all(at % 64 == 0 and end <= 1 << 16 for at, end in places)
    assert spans.is_valid()
    assert not spans.free(64, 1 << 17)
    for at, size in taken.items():
        assert spans.free(at, size)
    assert spans.used() == 0


def test_the_ready_queue_is_first_in_first_out():
    queue = _core.ReadyQueue()
    assert queue.pop() is None
    for i in range(5):
        queue.push(i)
    assert len(queue) == 5
    assert [queue.pop() for _ in range(6)] == [0, 1, 2, 3, 4, None]


def test_statistics_of_a_node_count_what_was_done(ray):
    node = bolide._runtime._node
    double = ray.remote(lambda x: 2 * x)
    refs = [double.remote(i) for i in range(10)] + [ray.put(bytes(100_000))]
    ray.get(refs)
    stats = node.stats()
    assert (stats["submitted"], stats["completed"], stats["tasks"]) == (10, 10, 0)
    assert stats["objects"] == 12  # the function too
    assert stats["functions"] == 1
    assert stats["store"]["live"] >= 100_000
    assert 1 <= stats["workers"] <= 2
    assert stats["retries"] == 0
    assert node.references(refs[0]._id) == 1
    assert node.audit()


def test_the_units_of_the_benchmarks_can_be_measured():
    assert 0 < _core.futex_round_trip_ns() < 1e7
    assert 0 < _core.now_ns() <= _core.now_ns()
    assert 1 <= _core.usable_cores()
    assert _core.total_memory() > 1 << 20

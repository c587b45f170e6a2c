"""as_completed and map_unordered: every result once, as it comes."""

from __future__ import annotations

import os
from itertools import count, islice

import pytest

from bolide.util import as_completed, map_unordered


@pytest.fixture
def square(ray):
    return ray.remote(lambda x: x * x)


@pytest.fixture
def held(ray, tmp_path):
    """A task that ends when its gate is opened, and the function that opens it."""
    path = tmp_path / "gate"
    os.mkfifo(path)

    @ray.remote
    def wait_for_gate(x):
        with open(path) as gate:
            gate.read()
        return x

    def open_gate():
        with open(path, "w"):
            pass

    return wait_for_gate, open_gate


def test_every_result_comes_once(square):
    results = list(as_completed([square.remote(i) for i in range(1000)]))
    assert sorted(results) == [i * i for i in range(1000)]


def test_a_slow_task_holds_back_no_other(ray, square, held):
    wait_for_gate, open_gate = held
    refs = [wait_for_gate.remote(-1), *(square.remote(i) for i in range(50))]
    results = as_completed(refs, chunk_size=1)
    assert sorted(islice(results, 50)) == [i * i for i in range(50)]
    open_gate()
    assert list(results) == [-1]


def test_references_are_yielded_when_asked_for(ray, square):
    refs = [square.remote(i) for i in range(20)]
    assert set(as_completed(refs, yield_obj_refs=True)) == set(refs)
    assert sorted(ray.get(list(map_unordered(square, range(5), yield_obj_refs=True)))) == [
        0, 1, 4, 9, 16,
    ]  # fmt: skip


def test_map_reads_its_items_as_results_are_taken(ray, square):
    read = []
    items = (read.append(i) or i for i in count())
    results = map_unordered(square, items, backpressure_size=8, chunk_size=4)
    assert len(list(islice(results, 100))) == 100
    assert len(read) <= 100 + 8
    results.close()


def test_map_without_backpressure_submits_all_items(square):
    results = map_unordered(square, range(300), backpressure_size=None)
    assert sorted(results) == [i * i for i in range(300)]


def test_an_exception_is_raised_where_its_result_would_be(ray):
    @ray.remote
    def fail(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        list(as_completed([fail.remote(1)]))
    with pytest.raises(KeyError):
        list(map_unordered(fail, [1]))


def test_nothing_gives_nothing(ray, square):
    assert list(as_completed([])) == []
    assert list(map_unordered(square, [])) == []


def test_bad_sizes_are_refused(ray, square):
    with pytest.raises(ValueError, match="chunk_size must be at least 1, but it is 0"):
        list(as_completed([square.remote(1)], chunk_size=0))
    with pytest.raises(ValueError, match="backpressure_size is 5, but it must be at least chunk_s"):
        list(map_unordered(square, [1], backpressure_size=5))
    ref = ray.put(1)
    with pytest.raises(ValueError, match="unique"):
        list(as_completed([ref, ref]))

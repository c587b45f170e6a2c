"""util.iter: items stay in their shards, transformations run there, and nothing is lost."""

from __future__ import annotations

import os

import pytest

from bolide.util import iter as parallel
from bolide.util.iter import from_actors, from_items, from_iterators, from_range

pytestmark = pytest.mark.usefixtures("ray")


def test_items_are_dealt_and_ranges_are_cut():
    assert list(from_items([1, 2, 3, 4]).gather_sync()) == [1, 2, 3, 4]
    shards = from_range(11, num_shards=2).shards()
    assert [list(shard) for shard in shards] == [list(range(5)), list(range(5, 11))]
    assert repr(from_items([1, 2])) == "ParallelIterator[from_items[int, 2, shards=2]]"
    assert list(from_items([]).gather_sync()) == []


def test_iterators_may_be_made_in_the_actor():
    made = from_iterators([lambda: iter("ab"), "cd"])
    assert list(made.gather_sync()) == ["a", "c", "b", "d"]
    assert next(from_range(2, repeat=True).batch_across_shards()) == [0, 1]
    assert from_range(2, num_shards=1, repeat=True).take(5) == [0, 1, 0, 1, 0]


def test_transformations_run_in_the_actors():
    pids = set(from_range(4).for_each(lambda _: os.getpid()).gather_sync())
    assert len(pids) == 2 and os.getpid() not in pids


@pytest.mark.parametrize(
    "transform, wanted",
    [
        (lambda it: it.for_each(lambda x: 2 * x), [0, 2, 4, 6, 8]),
        (lambda it: it.filter(lambda x: x % 2), [1, 3]),
        (lambda it: it.batch(2), [[0, 1], [2, 3], [4]]),
        (lambda it: it.batch(2).flatten(), [0, 1, 2, 3, 4]),
        (lambda it: it.combine(lambda x: [x] * x), [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
        (lambda it: it.transform(lambda items: reversed(list(items))), [4, 3, 2, 1, 0]),
    ],
    ids=["for_each", "filter", "batch", "flatten", "combine", "transform"],
)
def test_transformations(transform, wanted):
    assert list(transform(from_range(5, num_shards=1)).gather_sync()) == wanted
    assert list(transform(from_range(5, num_shards=1).gather_sync())) == wanted


def test_shuffling_keeps_the_items():
    made = from_range(100, num_shards=2)
    once = list(made.local_shuffle(10, seed=1).gather_sync())
    assert sorted(once) == list(range(100)) != once
    assert once == list(made.local_shuffle(10, seed=1).gather_sync())
    assert sorted(made.gather_sync().shuffle(10)) == list(range(100))


def test_gathering():
    made = from_iterators([range(3), range(10, 11)])
    assert list(made.batch_across_shards()) == [[0, 10], [1], [2]]
    assert list(made.gather_sync()) == [0, 10, 1, 2]
    assert sorted(made.gather_async()) == [0, 1, 2, 10]
    assert sorted(made.gather_async(batch_ms=5, num_async=3)) == [0, 1, 2, 10]
    with pytest.raises(TypeError, match=r"You must use it.gather_sync\(\) or it.gather_async\(\)"):
        list(made)
    for wrong in ({"num_async": 0}, {"batch_ms": -1}):
        with pytest.raises(ValueError, match="must be positive"):
            made.gather_async(**wrong)


def test_repartition():
    made = from_range(8, 2).repartition(3)
    assert made.num_shards() == 3
    shards = [sorted(shard) for shard in made.shards()]
    assert shards == [[0, 3, 4, 7], [1, 5], [2, 6]]


def test_union_and_selection():
    both = from_range(2, 1).union(from_range(3, 1).for_each(lambda x: -x))
    assert sorted(both.gather_sync()) == [-2, -1, 0, 0, 1]
    assert list(both.select_shards([1]).gather_sync()) == [0, -1, -2]
    with pytest.raises(ValueError, match="Shard index out of range, 2, 2"):
        both.get_shard(2)
    with pytest.raises(ValueError, match="unique"):
        both.select_shards([1, 1])
    with pytest.raises(ValueError, match="shards_to_keep must be in range 0 to 1"):
        both.select_shards([5])
    with pytest.raises(TypeError, match="other must be of type ParallelIterator"):
        both.union(5)


def test_local_iterators(capsys):
    one, two = from_range(3, 1).gather_sync(), from_range(6, 1).gather_sync()
    assert list(one.union(two)) == [0, 0, 1, 1, 2, 2, 3, 4, 5]
    first, second = from_range(3, 1).gather_sync().duplicate(2)
    assert [next(first), next(first), list(second), list(first)] == [0, 1, [0, 1, 2], [2]]
    from_range(3, 1).show(2)
    assert capsys.readouterr().out == "0\n1\n"


def test_actors_of_ones_own(ray):
    @ray.remote
    class Source(parallel.ParallelIteratorWorker):
        def __init__(self, letter):
            super().__init__([letter * n for n in range(1, 4)], False)

    made = from_actors([Source.remote("a"), Source.remote("b")])
    assert list(made.gather_sync()) == ["a", "b", "aa", "bb", "aaa", "bbb"]


def test_tasks_read_it(ray):
    @ray.remote
    def read(it, shard):
        return list(it.get_shard(shard))

    made = from_range(10)
    assert ray.get([read.remote(made, 0), read.remote(made, 1)]) == [
        list(range(5)), list(range(5, 10)),
    ]  # fmt: skip

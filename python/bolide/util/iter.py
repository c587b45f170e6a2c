"""Parallel iterators: data that lies in the shards of several actors, transformed where it lies.

A ParallelIterator is a description: its shards, which are actors, and the transformations of each.
Gathered, it becomes a LocalIterator, whose items are fetched as they are taken.

Thread safety: iterators belong to one thread. Invariants: a transformation runs in the actor of
its shard; the items of a shard keep their order; a shard is read by one reader at a time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from .._hot import get, wait
from .._remote import remote
from . import _transforms
from ._local_iterator import LocalIterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "LocalIterator",
    "ParallelIterator",
    "ParallelIteratorWorker",
    "from_actors",
    "from_items",
    "from_iterators",
    "from_range",
]

_FETCHED_AT_ONCE = 64  # items of a shard that one call brings, where that changes no order


def from_items(items: list[Any], num_shards: int = 2, repeat: bool = False) -> ParallelIterator:
    """A parallel iterator over items, which are dealt to the shards in turn.

    Args:
        items: the items.
        num_shards: how many actors have them.
        repeat: go round without end.

    Example:
        >>> list(from_items([1, 2, 3]).for_each(lambda x: 2 * x).gather_sync())
        [2, 4, 6]

    Follows Ray's `ray.util.iter.from_items`.
    """
    kind = type(items[0]).__name__ if items else "None"
    name = f"from_items[{kind}, {len(items)}, shards={num_shards}{_said(repeat)}]"
    return from_iterators([items[i::num_shards] for i in range(num_shards)], repeat, name)


def from_range(n: int, num_shards: int = 2, repeat: bool = False) -> ParallelIterator:
    """A parallel iterator over ``range(n)``, of which each shard has a part; see `from_items`."""
    size = n // num_shards
    bounds = [*(i * size for i in range(num_shards)), n]
    parts = [range(begin, end) for begin, end in zip(bounds, bounds[1:])]
    return from_iterators(parts, repeat, f"from_range[{n}, shards={num_shards}{_said(repeat)}]")


def from_iterators(
    generators: Iterable[Any], repeat: bool = False, name: str | None = None
) -> ParallelIterator:
    """A parallel iterator with one shard for each iterable.

    Args:
        generators: iterables, or functions that make one in the actor.
        repeat: go round each without end.
        name: for messages.
    """
    made = remote(ParallelIteratorWorker)
    actors = [made.remote(generator, repeat) for generator in generators]
    return from_actors(actors, name or f"from_iterators[shards={len(actors)}{_said(repeat)}]")


def from_actors(actors: list[Any], name: str | None = None) -> ParallelIterator:
    """A parallel iterator over actors, whose class is a subclass of ParallelIteratorWorker."""
    shards = [(actor, ()) for actor in actors]
    return ParallelIterator(shards, name or f"from_actors[shards={len(actors)}]")


def _said(repeat: bool) -> str:
    return ", repeat=True" if repeat else ""


class ParallelIteratorWorker:
    """What the actor of a shard is: items, and the transformations of who reads them.

    Args:
        item_generator: an iterable, or a function that returns one.
        repeat: go round it without end.
    """

    def __init__(self, item_generator: Any, repeat: bool) -> None:
        def items() -> Iterator[Any]:
            while True:
                made = item_generator() if callable(item_generator) else item_generator
                yield from made
                if not repeat:
                    return

        self._par_iter_items = items
        self._par_iter_now: Iterator[Any] | None = None
        self._par_iter_slices: dict[int, deque[Any]] = {}

    def par_iter_init(self, transforms: tuple[Callable[..., Any], ...]) -> None:
        """Begins again, with these transformations."""
        now: Iterator[Any] = iter(self._par_iter_items())
        for transform in transforms:
            now = transform(now)
        self._par_iter_now = iter(now)
        self._par_iter_slices = {}

    def par_iter_next(self, count: int = 1) -> list[Any]:
        """The next items; fewer at the end."""
        assert self._par_iter_now is not None, "must call par_iter_init()"
        return list(itertools.islice(self._par_iter_now, count))

    def par_iter_slice(self, step: int, start: int) -> list[Any]:
        """The next of every `step`-th item from `start` on, in a list; none at the end."""
        waiting = self._par_iter_slices
        if not waiting:
            waiting.update((i, deque()) for i in range(step))
        while not waiting[start]:
            items = self.par_iter_next(step)
            if not items:
                return []
            for i, item in enumerate(items):
                waiting[i].append(item)
        return [waiting[start].popleft()]


class ParallelIterator:
    """Items in the shards of several actors. Made by `from_items` and its like.

    Transformations give another parallel iterator and run in the actors; `gather_sync` and
    `gather_async` give an iterator over the results. It can be passed to tasks.
    """

    def __init__(self, shards: list[tuple[Any, tuple]], name: str, parents: tuple = ()) -> None:
        self._shards = shards
        self.name = name
        self._parents = parents  # whose actors ours read from

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            "You must use it.gather_sync() or it.gather_async() to iterate over the results of a "
            "ParallelIterator."
        )

    def __repr__(self) -> str:
        return f"ParallelIterator[{self.name}]"

    def _with(self, transform: Callable[..., Any], name: str) -> ParallelIterator:
        shards = [(actor, (*transforms, transform)) for actor, transforms in self._shards]
        return ParallelIterator(shards, self.name + name, self._parents)

    def transform(self, fn: Callable[[Iterator[Any]], Iterator[Any]]) -> ParallelIterator:
        """Applies `fn` to the iterator of each shard."""
        return self._with(fn, ".transform()")

    def for_each(self, fn: Callable[[Any], Any]) -> ParallelIterator:
        """Applies `fn` to each item."""
        return self._with(_transforms.for_each(fn), ".for_each()")

    def filter(self, fn: Callable[[Any], bool]) -> ParallelIterator:
        """Leaves out the items for which `fn` is false."""
        return self._with(_transforms.keep(fn), ".filter()")

    def batch(self, n: int) -> ParallelIterator:
        """Makes lists of `n` items of a shard; the last may be shorter."""
        return self._with(_transforms.batch(n), f".batch({n})")

    def flatten(self) -> ParallelIterator:
        """The items of each item."""
        return self._with(_transforms.flatten, ".flatten()")

    def combine(self, fn: Callable[[Any], list[Any]]) -> ParallelIterator:
        """As ``for_each(fn).flatten()``."""
        made = self.for_each(fn).flatten()
        made.name = self.name + ".combine()"
        return made

    def local_shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> ParallelIterator:
        """Shuffles within each shard, by a buffer of so many items."""
        name = f".local_shuffle(shuffle_buffer_size={shuffle_buffer_size}, seed={seed})"
        return self._with(_transforms.shuffle(shuffle_buffer_size, seed), name)

    def repartition(self, num_partitions: int) -> ParallelIterator:
        """Deals the items of each shard in turn to so many new shards."""
        actors = self._begin()

        def part(index: int) -> Callable[[], Iterator[Any]]:
            def items() -> Iterator[Any]:
                calls = {a.par_iter_slice.remote(num_partitions, index): a for a in actors}
                while calls:
                    (ready,), _ = wait(list(calls), num_returns=1)
                    actor = calls.pop(ready)
                    found = get(ready)
                    if found:
                        calls[actor.par_iter_slice.remote(num_partitions, index)] = actor
                        yield found[0]

            return items

        name = f"{self.name}.repartition[num_partitions={num_partitions}]"
        made = from_iterators([part(i) for i in range(num_partitions)], name=name)
        return ParallelIterator(made._shards, name, (self,))

    def union(self, other: ParallelIterator) -> ParallelIterator:
        """The shards of both.

        Raises:
            TypeError: `other` is no ParallelIterator.
        """
        if not isinstance(other, ParallelIterator):
            raise TypeError(f"other must be of type ParallelIterator, got {type(other)}")
        name = f"ParallelUnion[{self}, {other}]"
        return ParallelIterator(
            self._shards + other._shards, name, (*self._parents, *other._parents)
        )

    def select_shards(self, shards_to_keep: list[int]) -> ParallelIterator:
        """Some of the shards, by their numbers.

        Raises:
            ValueError: one of them is not there, or one is named twice.
        """
        if len(set(shards_to_keep)) < len(shards_to_keep):
            raise ValueError("shards_to_keep must be unique")
        count = self.num_shards()
        if any(not 0 <= i < count for i in shards_to_keep):
            raise ValueError(f"shards_to_keep must be in range 0 to {count - 1}: {shards_to_keep}")
        kept = [self._shards[i] for i in shards_to_keep]
        return ParallelIterator(kept, f"{self.name}.select_shards({len(kept)})", self._parents)

    def num_shards(self) -> int:
        """How many shards there are."""
        return len(self._shards)

    def shards(self) -> list[LocalIterator]:
        """An iterator over each shard."""
        return [self.get_shard(i) for i in range(self.num_shards())]

    def get_shard(self, shard_index: int) -> LocalIterator:
        """An iterator over one shard.

        Raises:
            ValueError: there is no such shard.
        """
        if not 0 <= shard_index < self.num_shards():
            raise ValueError(f"Shard index out of range, {shard_index}, {self.num_shards()}")
        made = self.select_shards([shard_index])._rounds(_FETCHED_AT_ONCE)
        return LocalIterator(made, f"{self.name}.shard[{shard_index}]").flatten().flatten()

    def batch_across_shards(self) -> LocalIterator:
        """Lists of the next item of each shard that has one."""
        rounds = LocalIterator(self._rounds(1), f"{self}.batch_across_shards()")
        return rounds.for_each(lambda found: [items[0] for items in found])

    def gather_sync(self) -> LocalIterator:
        """An iterator over all items: one of each shard in turn."""
        made = self.batch_across_shards().flatten()
        made.name = f"{self}.gather_sync()"
        return made

    def gather_async(self, batch_ms: int = 0, num_async: int = 1) -> LocalIterator:
        """An iterator over all items as they come.

        Args:
            batch_ms: above 0: fetch several items at a time.
            num_async: how many calls each shard has ahead.

        Raises:
            ValueError: `num_async` is less than 1, or `batch_ms` is negative.
        """
        if num_async < 1:
            raise ValueError("queue depth must be positive")
        if batch_ms < 0:
            raise ValueError("batch time must be positive")
        count = _FETCHED_AT_ONCE if batch_ms else 1

        def items() -> Iterator[Any]:
            calls = {
                a.par_iter_next.remote(count): a for a in self._begin() for _ in range(num_async)
            }
            while calls:
                for ready in wait(list(calls), num_returns=1)[0]:
                    actor = calls.pop(ready)
                    found = get(ready)
                    if len(found) == count:
                        calls[actor.par_iter_next.remote(count)] = actor
                    yield from found

        return LocalIterator(items, f"{self}.gather_async()")

    def take(self, n: int) -> list[Any]:
        """The first `n` items of `gather_sync`."""
        return self.gather_sync().take(n)

    def show(self, n: int = 20) -> None:
        """Prints the first `n` items of `gather_sync`."""
        self.gather_sync().show(n)

    def _begin(self) -> list[Any]:
        """The actors, which begin again."""
        get([actor.par_iter_init.remote(transforms) for actor, transforms in self._shards])
        return [actor for actor, _ in self._shards]

    def _rounds(self, count: int) -> Callable[[], Iterator[list[list[Any]]]]:
        """The next items of each shard that has some, again and again; one call ahead."""

        def rounds() -> Iterator[list[list[Any]]]:
            calls = [(actor, actor.par_iter_next.remote(count)) for actor in self._begin()]
            while calls:
                found = [(actor, get(call)) for actor, call in calls]
                calls = [
                    (actor, actor.par_iter_next.remote(count))
                    for actor, items in found
                    if len(items) == count
                ]
                full = [items for _, items in found if items]
                if full:
                    yield full

        return rounds

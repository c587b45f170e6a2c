"""The transformations that both kinds of iterators of `iter` have, as functions of an iterator.

Thread safety: no state.
"""

from __future__ import annotations

import itertools
import random

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def for_each(fn: Callable[[Any], Any]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    return lambda items: map(fn, items)


def keep(fn: Callable[[Any], bool]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    return lambda items: filter(fn, items)


def batch(n: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    return lambda items: iter(lambda: list(itertools.islice(items, n)), [])


def flatten(items: Iterator[Any]) -> Iterator[Any]:
    return itertools.chain.from_iterable(items)


def shuffle(size: int, seed: int | None) -> Callable[[Iterator[Any]], Iterator[Any]]:
    def shuffled(items: Iterator[Any]) -> Iterator[Any]:
        chance = random.Random(seed)
        held: list[Any] = []
        for item in items:
            held.append(item)
            if len(held) >= size:
                yield held.pop(chance.randrange(len(held)))
        while held:
            yield held.pop(chance.randrange(len(held)))

    return shuffled

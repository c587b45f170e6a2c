"""What is gathered of a ParallelIterator: an iterator whose transformations run here.

Thread safety: it belongs to one thread.
"""

from __future__ import annotations

import itertools
from collections import deque

from . import _transforms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class LocalIterator:
    """An iterator over what is gathered. Transformations run here, as items are taken."""

    def __init__(self, make: Callable[[], Iterator[Any]], name: str) -> None:
        self._make = make
        self._now: Iterator[Any] | None = None
        self.name = name

    def __iter__(self) -> Iterator[Any]:
        if self._now is None:
            self._now = iter(self._make())
        return self._now

    def __next__(self) -> Any:
        return next(iter(self))

    def __repr__(self) -> str:
        return f"LocalIterator[{self.name}]"

    def transform(self, fn: Callable[[Iterator[Any]], Iterator[Any]], name: str = "") -> Any:
        """Applies `fn` to the iterator."""
        return LocalIterator(lambda: fn(iter(self)), self.name + (name or ".transform()"))

    def for_each(self, fn: Callable[[Any], Any]) -> LocalIterator:
        """Applies `fn` to each item."""
        return self.transform(_transforms.for_each(fn), ".for_each()")

    def filter(self, fn: Callable[[Any], bool]) -> LocalIterator:
        """Leaves out the items for which `fn` is false."""
        return self.transform(_transforms.keep(fn), ".filter()")

    def batch(self, n: int) -> LocalIterator:
        """Makes lists of `n` items; the last may be shorter."""
        return self.transform(_transforms.batch(n), f".batch({n})")

    def flatten(self) -> LocalIterator:
        """The items of each item."""
        return self.transform(_transforms.flatten, ".flatten()")

    def combine(self, fn: Callable[[Any], list[Any]]) -> LocalIterator:
        """As ``for_each(fn).flatten()``."""
        return self.for_each(fn).flatten()

    def shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> LocalIterator:
        """Shuffles by a buffer of so many items."""
        return self.transform(_transforms.shuffle(shuffle_buffer_size, seed), ".shuffle()")

    def union(self, *others: LocalIterator) -> LocalIterator:
        """The items of all, in turn."""

        def items() -> Iterator[Any]:
            left = deque(iter(one) for one in (self, *others))
            while left:
                one = left.popleft()
                for item in one:
                    yield item
                    left.append(one)
                    break

        return LocalIterator(items, f"LocalUnion[{', '.join(map(str, (self, *others)))}]")

    def duplicate(self, n: int) -> list[LocalIterator]:
        """So many iterators over the same items, each at its own speed."""
        copies = itertools.tee(iter(self), n)
        return [LocalIterator(lambda c=c: c, f"{self.name}.duplicate[{i}]") for i, c in
                enumerate(copies)]  # fmt: skip

    def take(self, n: int) -> list[Any]:
        """The next `n` items, or as many as there are."""
        return list(itertools.islice(iter(self), n))

    def show(self, n: int = 20) -> None:
        """Prints the next `n` items."""
        for item in self.take(n):
            print(item)

"""The actor at which the members of a group meet: it passes on what each brings, and no data.

What is brought are small values and references; arrays travel in the store. One a group, named
after it. Thread safety: its coroutines run in one event loop.
"""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ... import ObjectRef  # noqa: F401  (what is brought contains them)

NAMESPACE = "bolide.util.collective"


class _Round:
    """One meeting: it is over when all have come, and forgotten when all have left."""

    def __init__(self, size: int) -> None:
        self.brought: list[Any] = [None] * size
        self.missing = set(range(size))
        self.leaving = size
        self.over = asyncio.Event()


class Meeting:
    """Members call `meet`, `post` and `take`; `ranks` by actor are those of a declared group."""

    def __init__(self, size: int, ranks: dict[str, int] | None) -> None:
        self._size = size
        self._ranks = ranks
        self._joined: set[int] = set()
        self._left: set[int] = set()
        self._rounds: dict[int, _Round] = {}
        self._letters: dict[tuple[int, int, int], asyncio.Future] = {}

    async def describe(self) -> tuple[int, dict[str, int] | None]:
        """The size of the group, and the rank of each actor of one that was declared."""
        return self._size, self._ranks

    async def join(self, size: int, rank: int) -> str:
        """Takes a member in; what is wrong, or nothing."""
        if size != self._size:
            return f"it was made with world_size={self._size}, and now world_size={size} is given"
        if rank in self._joined:
            return f"its rank {rank} is taken already"
        self._joined.add(rank)
        return ""

    async def leave(self, rank: int) -> bool:
        """Lets a member go; whether it was the last one."""
        self._left.add(rank)
        return len(self._left) == self._size

    async def meet(self, number: int, rank: int, bring: Any) -> list[Any]:
        """What all members brought to a meeting, in the order of ranks, when the last has come."""
        found = self._rounds.get(number)
        if found is None:
            found = self._rounds[number] = _Round(self._size)
        found.brought[rank] = bring
        found.missing.discard(rank)
        if not found.missing:
            found.over.set()
        await found.over.wait()
        found.leaving -= 1
        if found.leaving == 0:
            del self._rounds[number]
        return found.brought

    async def post(self, address: tuple[int, int, int], letter: Any) -> None:
        """Keeps a letter (from, to, number) until it is taken."""
        self._letter(address).set_result(letter)

    async def take(self, address: tuple[int, int, int]) -> Any:
        """The letter with that address, when it has come."""
        try:
            return await self._letter(address)
        finally:
            self._letters.pop(address, None)

    def _letter(self, address: tuple[int, int, int]) -> asyncio.Future:
        found = self._letters.get(address)
        if found is None:
            found = self._letters[address] = asyncio.get_running_loop().create_future()
        return found

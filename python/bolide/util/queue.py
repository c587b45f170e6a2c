"""Queue: a first-in, first-out queue that tasks and actors share. It lives in an actor.

Thread safety: a Queue is a handle: any thread of any process may use it, and it may be passed on.
Invariants: an item is got once; the queue ends with its last handle, or by `shutdown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from .._actor import kill
from .._hot import get, wait
from .._remote import remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Empty", "Full", "Queue"]


class Empty(Exception):
    """There was no item, or not in time."""


class Full(Exception):
    """There was no room for an item, or not in time."""


class Queue:
    """A queue like `asyncio.Queue` and `queue.Queue`, for tasks, actors and the driver.

    Args:
        maxsize: how many items it holds at most; 0: any number.
        actor_options: options of the actor that holds it, such as ``{"name": "jobs"}``.

    Example:
        >>> queue = Queue(maxsize=100)
        >>> queue.put("job")
        >>> queue.get()
        'job'

    Follows Ray's page "ray.util.queue.Queue".
    """

    def __init__(self, maxsize: int = 0, actor_options: dict[str, Any] | None = None) -> None:
        self.maxsize = maxsize
        made = remote(_QueueActor)
        if actor_options:
            made = made.options(**actor_options)
        self.actor: Any = made.remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """How many items it holds."""
        return get(self.actor.qsize.remote())

    def qsize(self) -> int:
        """How many items it holds."""
        return self.size()

    def empty(self) -> bool:
        """Whether it holds none."""
        return get(self.actor.empty.remote())

    def full(self) -> bool:
        """Whether it holds as many as it can."""
        return get(self.actor.full.remote())

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Adds an item.

        Args:
            item: any value; an ObjectRef in it is not resolved.
            block: wait until there is room.
            timeout: for so many seconds at most.

        Raises:
            Full: there was no room.
            ValueError: `timeout` is negative.
        """
        get(self._put(item, block, timeout))

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """As `put`, in a coroutine."""
        await self._put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Takes the oldest item.

        Args:
            block: wait until there is one.
            timeout: for so many seconds at most.

        Raises:
            Empty: there was none.
            ValueError: `timeout` is negative.
        """
        return get(self._get(block, timeout))[0]

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:
        """As `get`, in a coroutine."""
        return (await self._get(block, timeout))[0]

    def put_nowait(self, item: Any) -> None:
        """As ``put(item, block=False)``."""
        self.put(item, block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Adds several items in their order, all or none.

        Raises:
            Full: there is no room for all.
            TypeError: `items` is no iterable.
        """
        if not isinstance(items, Iterable):
            raise TypeError("Argument 'items' must be an Iterable")
        get(self.actor.put_batch.remote(list(items)))

    def get_nowait(self) -> Any:
        """As ``get(block=False)``."""
        return self.get(block=False)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Takes so many items, or none.

        Raises:
            Empty: there are fewer.
            TypeError, ValueError: `num_items` is no int, or negative.
        """
        if not isinstance(num_items, int):
            raise TypeError("Argument 'num_items' must be an int")
        if num_items < 0:
            raise ValueError("'num_items' must be nonnegative")
        return get(self.actor.get_batch.remote(num_items))

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:
        """Ends the actor, and with it the queue.

        Args:
            force: at once; else after the calls that it has begun.
            grace_period_s: how many seconds to wait for those.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        if not force and wait([actor.__ray_terminate__.remote()], timeout=grace_period_s)[0]:
            return
        kill(actor)

    # Items travel in lists, so that an ObjectRef is passed on and not resolved.

    def _put(self, item: Any, block: bool, timeout: float | None) -> Any:
        if not block:
            return self.actor.put_batch.remote([item])
        return self.actor.put.remote([item], _checked(timeout))

    def _get(self, block: bool, timeout: float | None) -> Any:
        if not block:
            return self.actor.get_batch.remote(1)
        return self.actor.get.remote(_checked(timeout))


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return timeout


class _QueueActor:
    def __init__(self, maxsize: int) -> None:
        self._queue: asyncio.Queue = asyncio.Queue(maxsize)

    def qsize(self) -> int:
        return self._queue.qsize()

    def empty(self) -> bool:
        return self._queue.empty()

    def full(self) -> bool:
        return self._queue.full()

    async def put(self, items: list[Any], timeout: float | None) -> None:
        try:
            await asyncio.wait_for(self._queue.put(items[0]), timeout)
        except asyncio.TimeoutError:
            raise Full(f"the queue had no room in {timeout:g} s") from None

    async def get(self, timeout: float | None) -> list[Any]:
        try:
            return [await asyncio.wait_for(self._queue.get(), timeout)]
        except asyncio.TimeoutError:
            raise Empty(f"the queue had no item in {timeout:g} s") from None

    def put_batch(self, items: list[Any]) -> None:
        size, most = self._queue.qsize(), self._queue.maxsize
        if most > 0 and len(items) + size > most:
            raise Full(f"Cannot add {len(items)} items to queue of size {size} and maxsize {most}.")
        for item in items:
            self._queue.put_nowait(item)

    def get_batch(self, count: int) -> list[Any]:
        if count > self._queue.qsize():
            raise Empty(f"Cannot get {count} items from queue of size {self._queue.qsize()}.")
        return [self._queue.get_nowait() for _ in range(count)]

"""What remote generators return: the value of ``num_returns="dynamic"``.

Follows Ray's page "Dynamic generators". Thread safety: as a deque.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ._hot import ObjectRef


class DynamicObjectRefGenerator:
    """The references that a task with ``num_returns="dynamic"`` has yielded, to be taken once each.

    It can be passed to tasks. ``len`` is how many are left. If the function raised, the last
    reference holds the exception.

    Example:
        >>> for ref in get(split.remote(array)):
        ...     use(get(ref))
    """

    def __init__(self, refs: Iterable[ObjectRef]) -> None:
        self._refs = deque(refs)

    def __iter__(self) -> Iterator[ObjectRef]:
        while self._refs:
            yield self._refs.popleft()

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"DynamicObjectRefGenerator({len(self._refs)} references left)"


def items_of(result: Any) -> Iterator[Any]:
    """In a worker: the items of what a generator function returned, of an async one too."""
    if hasattr(result, "__anext__"):
        return _items_of_async(result)
    return iter(result)


def _items_of_async(generator: Any) -> Iterator[Any]:
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                item = loop.run_until_complete(generator.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def is_generator_function(function: Any) -> bool:
    """Whether calling `function` gives a generator, an async one too, without importing inspect."""
    return bool(_code_flags(function) & 0x220)  # CO_GENERATOR, CO_ASYNC_GENERATOR


def is_coroutine_function(function: Any) -> bool:
    """Whether `function` is an ``async def`` that returns a value."""
    return bool(_code_flags(function) & 0x80)  # CO_COROUTINE


def is_async_function(function: Any) -> bool:
    """Whether `function` is an ``async def``, of a coroutine or of a generator."""
    return bool(_code_flags(function) & 0x280)


def _code_flags(function: Any) -> int:
    for _ in range(100):
        inner = getattr(function, "func", None) or getattr(function, "__func__", None)
        if inner is None or hasattr(function, "__code__") and not hasattr(function, "__func__"):
            break
        function = inner
    return getattr(getattr(function, "__code__", None), "co_flags", 0)

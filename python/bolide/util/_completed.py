"""Results in the order in which they come: `as_completed` and `map_unordered`.

They use `wait` and `get` only. Thread safety: a generator belongs to one thread. Invariant: a look
at n references costs about a nanosecond each, so each look takes all that is ready, and many
references cost no more than a few looks for each time that something has come.
"""

from __future__ import annotations

from itertools import islice

from .._hot import get, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from .._hot import ObjectRef, RemoteFunction


def as_completed(
    refs: Sequence[ObjectRef],
    *,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
    **kwargs: Any,
) -> Iterator[Any]:
    """Yields results as they become available, in no particular order.

    Args:
        refs: the references, each once.
        chunk_size: how many to wait for before results are yielded; those that are ready by then
            are yielded with them.
        yield_obj_refs: yield the references instead of their values.
        **kwargs: further arguments of `wait`, such as `timeout` in seconds for each wait.

    Yields:
        The value of each reference, or the reference.

    Raises:
        ValueError: `chunk_size` is less than 1, or a reference is there twice.
        Exception: what a task raised, as `get` raises it; the generator ends with it.

    Example:
        >>> sorted(as_completed([square.remote(i) for i in range(3)]))
        [0, 1, 4]

    Follows Ray's page "ray.util.as_completed".
    """
    pending = list(refs)
    while pending:
        ready, pending = _take_ready(pending, chunk_size, kwargs)
        yield from ready if yield_obj_refs else get(ready)


def map_unordered(
    fn: RemoteFunction,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = 100,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
    **kwargs: Any,
) -> Iterator[Any]:
    """Calls a remote function for each item and yields the results as they become available.

    Args:
        fn: a remote function of one argument.
        items: its arguments; read as results are taken, so it may be endless.
        backpressure_size: how many calls are in flight at most; None: all items at once.
        chunk_size: how many results to wait for when that many are in flight.
        yield_obj_refs: yield references instead of values.
        **kwargs: further arguments of `wait`.

    Yields:
        The result of each call, or its reference, in no particular order.

    Raises:
        ValueError: `chunk_size` is less than 1, or larger than `backpressure_size`.
        Exception: what a call raised, as `get` raises it; the generator ends with it.

    Example:
        >>> sorted(map_unordered(square, range(3)))
        [0, 1, 4]

    Follows Ray's page "ray.util.map_unordered".
    """
    if backpressure_size is not None and backpressure_size < chunk_size:
        raise ValueError(
            f"backpressure_size is {backpressure_size}, but it must be at least chunk_size"
            f" ({chunk_size}): with fewer calls in flight a whole chunk is never ready"
        )
    source = iter(items)
    pending: list[ObjectRef] = []
    while True:
        room = None if backpressure_size is None else backpressure_size - len(pending)
        pending += [fn.remote(item) for item in islice(source, room)]
        if not pending:
            return
        ready, pending = _take_ready(pending, chunk_size, kwargs)
        yield from ready if yield_obj_refs else get(ready)


def _take_ready(
    pending: list[ObjectRef], chunk_size: int, options: dict[str, Any]
) -> tuple[list[ObjectRef], list[ObjectRef]]:
    """Waits for a chunk; then all that is ready, and the rest."""
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, but it is {chunk_size}")
    ready, rest = wait(pending, num_returns=min(chunk_size, len(pending)), **options)
    if rest:
        more, rest = wait(rest, num_returns=len(rest), timeout=0)
        ready += more
    return ready, rest

"""ActorPool: calls spread over a fixed set of actors, each with one call at a time.

Thread safety: a pool belongs to one thread. Invariants: an actor is idle, or it has one call that
was not taken yet; calls that wait for an actor begin in the order in which they were submitted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from .._hot import get, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ActorPool"]


class ActorPool:
    """Spreads calls over actors.

    Args:
        actors: their handles.

    Example:
        >>> pool = ActorPool([Actor.remote(), Actor.remote()])
        >>> list(pool.map(lambda actor, value: actor.double.remote(value), [1, 2, 3, 4]))
        [2, 4, 6, 8]

    Follows Ray's page "ray.util.ActorPool".
    """

    def __init__(self, actors: Iterable[Any]) -> None:
        self._idle = list(actors)
        self._running: dict[Any, tuple[int, Any]] = {}  # reference -> number of the call, actor
        self._by_number: dict[int, Any] = {}
        self._waiting: deque[tuple[Callable[[Any, Any], Any], Any]] = deque()
        self._submitted = 0  # that have an actor, or had one
        self._returned = 0  # the number of the next in order

    def map(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """Calls `fn` with an actor and a value for each value.

        Results of earlier calls that were not taken are dropped.

        Args:
            fn: takes an actor and a value; returns an ObjectRef. Until that is ready, the actor is
                busy.
            values: the values.

        Returns:
            An iterator over the results, in order.
        """
        return self._map(fn, values, self.get_next)

    def map_unordered(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """As `map`, with the results in the order in which they come."""
        return self._map(fn, values, self.get_next_unordered)

    def submit(self, fn: Callable[[Any, Any], Any], value: Any) -> None:
        """Calls ``fn(actor, value)`` as soon as an actor is idle. See `map`."""
        if not self._idle:
            self._waiting.append((fn, value))
            return
        actor = self._idle.pop()
        ref = fn(actor, value)
        self._running[ref] = self._submitted, actor
        self._by_number[self._submitted] = ref
        self._submitted += 1

    def has_next(self) -> bool:
        """Whether there are results to be taken."""
        return bool(self._running)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The next result in the order of `submit`.

        Args:
            timeout: how many seconds to wait for it; None: without end.
            ignore_if_timedout: if it does not come in time, pass it over in what follows.

        Raises:
            StopIteration: there is none.
            ValueError: `get_next_unordered` was called before, since the pool was idle.
            TimeoutError: it did not come in time.
            Exception: what the call raised, as `get` raises it.
        """
        self._check_next()
        if self._returned not in self._by_number:
            raise ValueError("It is not allowed to call get_next() after get_next_unordered().")
        ref = self._by_number[self._returned]
        if timeout is not None and not wait([ref], timeout=timeout)[0]:
            self._time_out(ref, ignore_if_timedout)
        return self._take(ref)

    def get_next_unordered(
        self, timeout: float | None = None, ignore_if_timedout: bool = False
    ) -> Any:
        """The next result that comes. As `get_next`."""
        self._check_next()
        ready, _ = wait(list(self._running), num_returns=1, timeout=timeout)
        if not ready:
            self._time_out(next(iter(self._running)), ignore_if_timedout)
        return self._take(ready[0])

    def has_free(self) -> bool:
        """Whether there is an idle actor, and no call that waits for one."""
        return bool(self._idle) and not self._waiting

    def pop_idle(self) -> Any:
        """Takes an idle actor out of the pool; None if there is none."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: Any) -> None:
        """Puts an actor into the pool.

        Raises:
            ValueError: it is there already.
        """
        if actor in self._idle or any(actor == busy for _, busy in self._running.values()):
            raise ValueError("Actor already belongs to current ActorPool")
        self._give_back(actor)

    def _map(
        self, fn: Callable[[Any, Any], Any], values: Iterable[Any], take: Callable[[], Any]
    ) -> Iterator[Any]:
        while self._running:  # what earlier calls left
            self._forget(next(iter(self._running)))
        for value in values:
            self.submit(fn, value)

        def results() -> Iterator[Any]:
            while self.has_next():
                yield take()

        return results()

    def _check_next(self) -> None:
        if not self.has_next():
            raise StopIteration("No more results to get")

    def _time_out(self, ref: Any, ignore: bool) -> None:
        if not ignore:
            raise TimeoutError("Timed out waiting for result")
        self._forget(ref)
        raise TimeoutError(f"Timed out waiting for result. The task {ref} has been ignored.")

    def _take(self, ref: Any) -> Any:
        self._forget(ref)
        return get(ref)

    def _forget(self, ref: Any) -> None:
        number, actor = self._running.pop(ref)
        del self._by_number[number]
        self._returned = max(self._returned, number + 1)
        self._give_back(actor)

    def _give_back(self, actor: Any) -> None:
        self._idle.append(actor)
        if self._waiting:
            self.submit(*self._waiting.popleft())

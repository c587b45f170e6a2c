"""What the methods of a Pool return at once: results to wait for, and iterators over them.

They are not the pool (`pool.py`). Thread safety: results may be used from any thread, an iterator
from one. Invariants: as in `multiprocessing.pool`: a result is ready when all of its chunks have
ended; a callback is called once, before anybody sees the result as ready.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from itertools import chain
from multiprocessing import TimeoutError

from ..._crew import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..._crew import Crew


class Chunk(Call):
    """One call of a pool: what one worker is given at a time."""

    def __init__(
        self, owner: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.owner = owner
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The call has ended."""
        self.value, self.error = value, error
        self.function, self.args, self.kwargs = None, (), {}
        self.owner.chunk_ended(self)


class AsyncResult:
    """The result of `apply_async`, `map_async` or `starmap_async`.

    As `multiprocessing.pool.AsyncResult`. Made by a Pool.
    """

    def __init__(
        self,
        crew: Crew,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        single: bool,
    ) -> None:
        self._crew = crew
        self._callback = callback
        self._error_callback = error_callback
        self._single = single
        self._chunks: list[Chunk] = []
        self._left = 0
        self._first_error: BaseException | None = None
        self._value: Any = None
        self._done = False

    def start(self, calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]]) -> None:
        """Submits the chunks: (function, args, kwargs) of each."""
        self._chunks = [Chunk(self, *call) for call in calls]
        self._left = len(calls)
        if not calls:
            self._finish()
        for chunk in list(self._chunks):
            self._crew.submit(chunk)
            if self._callback is not None or self._error_callback is not None:
                self._crew.watch(chunk)

    def chunk_ended(self, chunk: Chunk) -> None:
        """One of the chunks has ended."""
        with self._crew.lock:
            self._left -= 1
            if chunk.error is not None and self._first_error is None:
                self._first_error = chunk.error
            last = self._left == 0
            chunk.ended = not last
        if last:
            self._finish()
            chunk.ended = True

    def _finish(self) -> None:
        error = self._first_error
        if error is None:
            values = [chunk.value for chunk in self._chunks]
            self._value = values[0] if self._single else list(chain.from_iterable(values))
            self._tell(self._callback, self._value)
        else:
            self._tell(self._error_callback, error)
        self._chunks = []
        self._done = True

    @staticmethod
    def _tell(callback: Callable[[Any], object] | None, what: Any) -> None:
        if callback is not None:
            try:
                callback(what)
            except Exception:  # nobody is there who could catch it
                traceback.print_exc()

    def wait(self, timeout: float | None = None) -> None:
        """Waits until the result is ready, or `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._done:
            left = None if deadline is None else deadline - time.monotonic()
            chunk = next((chunk for chunk in self._chunks if not chunk.ended), None)
            if chunk is None:  # another thread is in the callback
                self._crew.wait_for_some(left)
            else:
                self._crew.wait_for(chunk, left)
            if left is not None and left <= 0:
                return

    def get(self, timeout: float | None = None) -> Any:
        """The result, or the exception of the first call that failed, raised.

        Raises:
            multiprocessing.TimeoutError: it was not ready after `timeout` seconds.
        """
        self.wait(timeout)
        if not self._done:
            raise TimeoutError
        if self._first_error is not None:
            raise self._first_error
        return self._value

    def ready(self) -> bool:
        """Whether all calls have ended."""
        for chunk in self._chunks:
            if not chunk.ended:
                self._crew.poll(chunk)
        return self._done

    def successful(self) -> bool:
        """Whether no call has raised.

        Raises:
            ValueError: it is not ready.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._first_error is None


class IMapIterator:
    """The results of `imap`, in order. Made by a Pool.

    Invariant: no more than `ahead` chunks are ahead of what was taken; so the iterable may be
    endless.
    """

    def __init__(
        self, crew: Crew, function: Any, chunks: Iterator[Any], ahead: int, chunked: bool
    ) -> None:
        self._crew = crew
        self._function = function
        self._source: Iterator[Any] | None = chunks
        self._ahead = ahead
        self._chunked = chunked
        self._pending: deque[Chunk] = deque()
        self._items: Iterator[Any] = iter(())
        self._submit()

    def _submit(self) -> None:
        while self._source is not None:
            if len(self._pending) >= self._ahead:
                return
            try:
                chunk = next(self._source)
            except StopIteration:
                self._source = None
                return
            call = Chunk(self, self._function, (chunk,), {})
            self._pending.append(call)
            self._crew.submit(call)

    def chunk_ended(self, chunk: Chunk) -> None:
        """One of the chunks has ended."""
        chunk.ended = True

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """The next result.

        Args:
            timeout: how many seconds to wait for it.

        Raises:
            multiprocessing.TimeoutError: it did not come in time.
            StopIteration: there is no more.
            Exception: what the call raised; results after it can still be taken.
        """
        for item in self._items:
            return item
        if not self._pending:
            raise StopIteration
        deadline = None if timeout is None else time.monotonic() + timeout
        while (chunk := self._take()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._wait(left)
        self._submit()
        if chunk.error is not None:
            raise chunk.error
        if not self._chunked:
            return chunk.value
        self._items = iter(chunk.value)
        return next(self._items)

    def _take(self) -> Chunk | None:
        return self._pending.popleft() if self._pending[0].ended else None

    def _wait(self, seconds: float | None) -> None:
        self._crew.wait_for(self._pending[0], seconds)


class IMapUnorderedIterator(IMapIterator):
    """The results of `imap_unordered`, as they come. Made by a Pool."""

    def __init__(self, *args: Any) -> None:
        self._ended: deque[Chunk] = deque()
        super().__init__(*args)

    def chunk_ended(self, chunk: Chunk) -> None:
        """One of the chunks has ended."""
        self._ended.append(chunk)

    def _take(self) -> Chunk | None:
        if not self._ended:
            return None
        self._pending.pop()  # counts those that are out; which of them does not matter
        return self._ended.popleft()

    def _wait(self, seconds: float | None) -> None:
        self._crew.wait_for_some(seconds)

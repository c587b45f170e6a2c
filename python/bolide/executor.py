"""Executor: bolide's workers as a `concurrent.futures.Executor`.

It is not the queue of calls (`_crew.py`) and not the future (`_executor_future.py`).

Thread safety: as `concurrent.futures` asks: any thread may submit, wait, cancel and shut down.
Invariants: a call runs at most once; after `shutdown(wait=True)` every future is done; the
interpreter does not end before what was submitted has.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import time
import weakref
from collections import deque
from itertools import chain, islice, starmap

from ._crew import Crew
from ._crew_workers import ActorWorkers, TaskWorkers, cpus
from ._executor_future import CrewFuture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["Executor"]


class Executor(concurrent.futures.Executor):
    """Runs calls in worker processes, as `concurrent.futures.ProcessPoolExecutor` does.

    Calls are tasks on the node's workers. With an initializer, or with `max_tasks_per_child`, they
    run on actors: processes of this executor alone.

    Args:
        max_workers: how many calls run at a time; by default as many as the node has CPUs.
        initializer: called in each worker process before its first call.
        initargs: the arguments of `initializer`.
        max_tasks_per_child: how many calls a worker process runs before a fresh one takes its
            place; None: all.

    Raises:
        ValueError: `max_workers` or `max_tasks_per_child` is less than 1.
        TypeError: `initializer` cannot be called, or `max_tasks_per_child` is no int.

    Functions and arguments may be whatever tasks take, such as lambdas and ObjectRefs. If a worker
    dies, or its initializer raises, everything that was submitted and is not done raises
    `concurrent.futures.process.BrokenProcessPool`, and so does `submit` from then on.

    Example:
        >>> with Executor() as executor:
        ...     list(executor.map(pow, [2, 3], [5, 6]))
        [32, 729]

    Follows the page "concurrent.futures" of Python's documentation.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple = (),
        max_tasks_per_child: int | None = None,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, but it is {max_workers}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, but it is {initializer!r}")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError(
                    f"max_tasks_per_child must be an integer, but it is {max_tasks_per_child!r}"
                )
            if max_tasks_per_child <= 0:
                raise ValueError(f"max_tasks_per_child must be >= 1, not {max_tasks_per_child}")
        self._max_workers = cpus() if max_workers is None else max_workers
        self._closed = False
        workers: TaskWorkers | ActorWorkers
        if initializer is None and max_tasks_per_child is None:
            workers = TaskWorkers(self._max_workers)
        else:
            workers = ActorWorkers(
                self._max_workers, initializer, tuple(initargs), max_tasks_per_child
            )
        # It outlives an executor that is dropped, until its calls are done.
        self._crew = _ExecutorCrew(workers)
        _crews.add(self._crew)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> CrewFuture:
        """Schedules the call ``fn(*args, **kwargs)``.

        Returns:
            A `concurrent.futures.Future`.

        Raises:
            BrokenProcessPool: a worker has died.
            RuntimeError: after `shutdown`, or while the interpreter ends.
        """
        self._check_open()
        crew = self._crew
        future = CrewFuture(crew, fn, args, kwargs)
        crew.submit(future)
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Calls `fn` with the items of the iterables, and yields the results in their order.

        Args:
            fn: takes as many arguments as there are iterables.
            *iterables: its arguments; the shortest ends it.
            timeout: seconds from this call, after which the iterator raises TimeoutError.
            chunksize: how many calls are sent as one. Large values help with many short calls.
            buffersize: how many chunks may wait for the consumer; None: the iterables are read at
                once.

        Raises:
            ValueError: `chunksize` or `buffersize` is less than 1.
            TypeError: `buffersize` is no int.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be >= 1, but it is {chunksize}")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be None or > 0, but it is {buffersize}")
        self._check_open()
        deadline = None if timeout is None else time.monotonic() + timeout
        rows: Iterator[Any] = zip(*iterables)
        function: Any = fn
        if chunksize > 1:
            function = _over_rows(fn)
            taken, rows = rows, iter(lambda: (tuple(islice(taken, chunksize)),), ((),))
        exported = self._crew.export(function)
        calls = (self.submit(exported, *row) for row in rows)
        results = _results(deque(islice(calls, buffersize)), calls, deadline)
        return chain.from_iterable(results) if chunksize > 1 else results

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; the workers go when the last call is done.

        Args:
            wait: return when every future is done.
            cancel_futures: cancel those that have not begun.
        """
        self._closed = True
        crew = self._crew
        if cancel_futures:
            for call in crew.take_queue():
                if call.cancel():
                    call.set_running_or_notify_cancel()
        crew.close()
        if wait:
            crew.drain()

    def _check_open(self) -> None:
        broken = self._crew.broken
        if broken is not None:
            raise type(broken)(*broken.args) from broken.__cause__
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")


class _ExecutorCrew(Crew):
    """A crew that ends with the first of its workers that dies."""

    broken: BaseException | None = None

    def worker_died(self, error: BaseException) -> BaseException:
        from concurrent.futures.process import BrokenProcessPool

        with self.lock:
            if self.broken is None:
                self.broken = BrokenProcessPool(
                    "A worker process terminated abruptly, or its initializer raised; the executor "
                    f"is not usable anymore: make another. {error}"
                )
                self.broken.__cause__ = error
        self.abandon(self.broken)
        return self.broken


def _over_rows(function: Callable[..., Any]) -> Callable[[tuple[tuple, ...]], list[Any]]:
    """`function` over several rows of arguments."""
    return lambda rows: list(starmap(function, rows))


def _results(
    futures: deque[CrewFuture], more: Iterator[CrewFuture], deadline: float | None
) -> Iterator[Any]:
    """The results in order; for each that is taken one more call is made."""
    try:
        while futures:
            future = futures[0]
            value = future.result(None if deadline is None else deadline - time.monotonic())
            futures.popleft()
            future = None  # it has a reference to its value
            futures.extend(islice(more, 1))
            yield value
            value = None
    finally:
        for future in futures:
            future.cancel()


# Crews whose calls the interpreter waits for at its end. bolide itself stops after that, because
# it registered before.
_crews: weakref.WeakSet[Crew] = weakref.WeakSet()
_exiting = False


@atexit.register
def _finish_all() -> None:
    global _exiting
    _exiting = True
    for crew in list(_crews):
        crew.drain()

"""Pool: the interface of `multiprocessing.Pool` on bolide's workers.

It is not what its methods return (`_results.py`) and not the queue of calls (`bolide._crew`).
Thread safety: any thread may use a pool. Invariants: a call runs at most once; functions and
exceptions are as in `multiprocessing`, but need not be importable.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, starmap

from ... import _runtime
from ..._crew import Crew
from ..._crew_workers import ActorWorkers, TaskWorkers, cpus, is_plain
from ..._hot import put
from ._results import AsyncResult, IMapIterator, IMapUnorderedIterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Pool"]

_CHUNKS_PER_WORKER = 4  # as in multiprocessing: few enough to be cheap, enough to balance
_AHEAD = 64  # chunks for each worker that imap has out
_KEPT_FUNCTIONS = 64


class Pool:
    """Runs functions in worker processes, as `multiprocessing.Pool` does.

    Args:
        processes: how many calls run at a time; by default as many as the node has CPUs. If bolide
            does not run yet, it is started with as many CPUs.
        initializer: called in each worker process before its first call. With it, or with
            `maxtasksperchild`, the workers are actors of this pool alone.
        initargs: the arguments of `initializer`.
        maxtasksperchild: how many chunks a worker process runs before a fresh one takes its place.
        context: there for `multiprocessing`'s sake; without effect, as in Ray.
        ray_address: the `address` of `init`, if bolide does not run yet.
        ray_remote_args: options of the tasks or actors, such as ``{"num_gpus": 1}``.

    Raises:
        ValueError: `processes` or `maxtasksperchild` is less than 1.
        TypeError: `initializer` cannot be called.

    Example:
        >>> with Pool() as pool:
        ...     pool.map(abs, [-1, 2, -3])
        [1, 2, 3]

    Follows Ray's page "Distributed multiprocessing.Pool" and Python's "multiprocessing".
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] | None = None,
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: dict[str, Any] | None = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError(f"Processes in the pool must be >0, but processes is {processes}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, but it is {initializer!r}")
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild < 1
        ):
            raise ValueError(
                f"maxtasksperchild must be a positive int or None, but it is {maxtasksperchild!r}"
            )
        if context is not None:
            warnings.warn("Pool takes no notice of its argument context", stacklevel=2)
        if not _runtime.is_initialized():
            address = ray_address or os.environ.get("RAY_ADDRESS")
            _runtime.init(address, num_cpus=processes)
        self._processes = cpus() if processes is None else processes
        options = dict(ray_remote_args or {})
        workers: TaskWorkers | ActorWorkers
        if initializer is None and maxtasksperchild is None:
            workers = TaskWorkers(self._processes, options)
        else:
            args = tuple(initargs or ())
            workers = ActorWorkers(self._processes, initializer, args, maxtasksperchild, options)
        self._crew = Crew(workers, eager=True)
        self._state = "running"
        self._mappers: dict[Any, Any] = {}

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        *,
        kwds: dict[str, Any] | None = None,
    ) -> Any:
        """``func(*args, **kwargs)`` in a worker; returns its value. `kwds` is `kwargs`."""
        return self.apply_async(func, args, kwargs, kwds=kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        kwds: dict[str, Any] | None = None,
    ) -> AsyncResult:
        """As `apply`, but returns at once.

        Args:
            func: the function.
            args: its arguments.
            kwargs: its keyword arguments.
            callback: gets the value when it has come.
            error_callback: gets the exception when it has come.
            kwds: the same as `kwargs`, under `multiprocessing`'s name.
        """
        self._check_running()
        result = AsyncResult(self._crew, callback, error_callback, single=True)
        result.start([(func, tuple(args or ()), dict(kwargs or kwds or {}))])
        return result

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """The results of `func` for each item, in order.

        Args:
            func: a function of one argument.
            iterable: its arguments.
            chunksize: how many items a worker is given at a time; by default such that each gets
                four chunks.
        """
        return self.map_async(func, iterable, chunksize).get()

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As `map`, but returns at once; the callbacks get the list, or the first exception."""
        return self._map(func, iterable, chunksize, callback, error_callback, False)

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """As `map`, with the items of each item as arguments."""
        return self.starmap_async(func, iterable, chunksize).get()

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As `starmap`, but returns at once."""
        return self._map(func, iterable, chunksize, callback, error_callback, True)

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """The results of `func` for each item, in order, as they are taken.

        The iterable is read as results are taken, so it may be endless.

        Args:
            func: a function of one argument.
            iterable: its arguments.
            chunksize: how many items a worker is given at a time.

        Raises:
            ValueError: `chunksize` is less than 1.
        """
        return self._imap(IMapIterator, func, iterable, chunksize)

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """As `imap`, with the results in the order in which they come."""
        return self._imap(IMapUnorderedIterator, func, iterable, chunksize)

    def close(self) -> None:
        """Takes no more calls; workers go when all have ended."""
        if self._state == "running":
            self._state = "closed"
            self._crew.close()

    def terminate(self) -> None:
        """Ends calls that run, and drops those that wait: their results raise RuntimeError."""
        if self._state != "terminated":
            self._state = "terminated"
            self._crew.abandon(RuntimeError("the pool was terminated before this call had ended"))
            self._crew.close()

    def join(self) -> None:
        """Waits until all calls have ended.

        Raises:
            ValueError: neither `close` nor `terminate` was called.
        """
        if self._state == "running":
            raise ValueError("Pool is still running; call close() or terminate() first")
        self._crew.drain()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def _check_running(self) -> None:
        if self._state != "running":
            raise ValueError(f"Pool not running: it was {self._state}; make another")

    def _map(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Any,
        error_callback: Any,
        star: bool,
    ) -> AsyncResult:
        self._check_running()
        items: Any = iterable if _can_be_sliced(iterable) else list(iterable)
        if chunksize is None:
            chunksize = -(-len(items) // (self._processes * _CHUNKS_PER_WORKER)) or 1
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        result = AsyncResult(self._crew, callback, error_callback, single=False)
        starts = range(0, len(items), chunksize)
        function = self._mapper(func, star) if starts else None
        result.start([(function, (items[i : i + chunksize],), {}) for i in starts])
        return result

    def _imap(
        self, kind: type[IMapIterator], func: Any, iterable: Iterable[Any], chunksize: int
    ) -> IMapIterator:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        chunks: Iterator[Any] = iter(iterable)
        function = func
        if chunksize > 1:
            taken, chunks = chunks, iter(lambda: tuple(islice(taken, chunksize)), ())
            function = self._mapper(func, False)
        elif not is_plain(func):
            function = self._crew.export(func)
        return kind(self._crew, function, chunks, self._processes * _AHEAD, chunksize > 1)

    def _mapper(self, func: Any, star: bool) -> Any:
        """What calls `func` for each item of a chunk, sent once for all chunks.

        It is kept where nothing can change it; other functions are sent as they are now.
        """
        if not is_plain(func) or func.__closure__ is not None:
            return put(_over_items(func, star))
        mapper = self._mappers.get((func, star))
        if mapper is None:
            if len(self._mappers) >= _KEPT_FUNCTIONS:
                self._mappers.clear()
            mapper = self._mappers[func, star] = self._crew.export(_over_items(func, star))
        return mapper


def _over_items(function: Callable[..., Any], star: bool) -> Callable[[Iterable[Any]], list[Any]]:
    """`function` over the items of a chunk: a plain function, so calls need no look at it."""
    if star:
        return lambda items: list(starmap(function, items))
    return lambda items: list(map(function, items))


def _can_be_sliced(iterable: Any) -> bool:
    """Whether its slices have its items. Those of a range or an array are cheap to send."""
    if type(iterable) in (list, tuple, range):
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(iterable) is numpy.ndarray and iterable.ndim > 0

"""Who runs the calls of a crew: tasks on the node's workers, or actors of the crew's own.

Tasks by default: the node balances them, and idle workers serve the rest of the program. Actors
where a worker has a life of its own: an initializer, or a number of calls after which it ends.

Thread safety: `start`, `ended` and `kill` may be called from any thread; `ActorWorkers` has a lock.
Invariants: a call of TaskWorkers runs at most once; an actor runs one call at a time.
"""

from __future__ import annotations

import inspect
import types
from threading import Lock

from ._actor import kill as kill_actor
from ._cancel import cancel
from ._hot import RemoteFunction, put
from ._node_state import cluster_resources
from ._remote import remote
from ._runtime import ensure_started
from .exceptions import (
    ActorDiedError,
    ActorUnschedulableError,
    RaySystemError,
    WorkerCrashedError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._crew import Call
    from ._hot import ObjectRef

_KEPT_FUNCTIONS = 256
_SPECIAL = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)  # fmt: skip


def cpus() -> int:
    """How many tasks of one CPU the node runs at a time, at least 1. Starts the runtime."""
    ensure_started()
    return max(1, int(cluster_resources().get("CPU", 1)))


def _invoke(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    value = function(*args, **kwargs)
    if type(value) is types.GeneratorType:  # whose items a task would take for its results
        raise TypeError(
            f"the call returned the generator {value.__qualname__}, which cannot be sent; return "
            "a list of its items"
        )
    return value


class TaskWorkers:
    """Runs calls as tasks, `size` of them at a time."""

    def __init__(self, size: int, options: dict[str, Any] | None = None) -> None:
        there = cpus()
        self._options: dict[str, Any] = {"max_retries": 0}
        if size > there:
            self._options["num_cpus"] = int(10000 * there / size) / 10000
        self._options.update(options or {})
        # With fewer than the node has, the window is what keeps the others free.
        self.window_grows = size >= there
        self.at_least = size + 1 if self.window_grows else size
        self._invoke = remote(**self._options)(_invoke)
        self._known: dict[Any, RemoteFunction] = {}

    def export(self, function: Callable[..., Any]) -> RemoteFunction:
        """A RemoteFunction of any callable: its state is as it is now."""
        if is_plain(function):
            return self._known_as(function)
        # A plain function around it: `remote` takes classes for actors, and looks at the signature
        # of other objects at each call.
        return remote(**self._options)(lambda *args, **kwargs: _invoke(function, *args, **kwargs))

    def start(self, call: Call) -> ObjectRef:
        function = call.function
        if type(function) is RemoteFunction:
            return function.remote(*call.args, **call.kwargs)
        if is_plain(function) and function.__closure__ is None:
            return self._known_as(function).remote(*call.args, **call.kwargs)
        return self._invoke.remote(function, *call.args, **call.kwargs)

    def ended(self, call: Call) -> None:
        """Nothing to book."""

    @staticmethod
    def has_died(error: BaseException, call: Call) -> bool:
        """Whether `error` tells that the worker of `call` died, or the runtime stopped."""
        return isinstance(error, (WorkerCrashedError, RaySystemError))

    @staticmethod
    def kill(refs: list[ObjectRef]) -> None:
        """Ends the tasks that make `refs`, also those that run."""
        for ref in refs:
            try:
                cancel(ref, force=True)
            except RaySystemError:  # the runtime stopped, and they with it
                return

    def close(self) -> None:
        self._known.clear()

    def _known_as(self, function: Any) -> RemoteFunction:
        known = self._known.get(function)
        if known is None:
            if len(self._known) >= _KEPT_FUNCTIONS:
                self._known.clear()  # functions made in a loop must not stay for ever
            known = self._known[function] = remote(**self._options)(function)
        return known


def is_plain(function: Any) -> bool:
    """Whether it is a function that returns its value: such a one is exported as it is."""
    return (
        type(function) is types.FunctionType
        and not function.__code__.co_flags & _SPECIAL
        and not hasattr(function, "__wrapped__")
    )


class _Worker:
    """The actor: runs the initializer when it is made."""

    def __init__(self, initializer: Callable[..., Any] | None, initargs: tuple) -> None:
        if initializer is not None:
            initializer(*initargs)

    def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _invoke(function, *args, **kwargs)


class _Hired:
    """An actor as its crew sees it."""

    __slots__ = ("calls", "handle")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.calls = 0


class ActorWorkers:
    """Runs calls on up to `size` actors, which are made when they are needed.

    Args:
        size: how many at most.
        initializer, initargs: what each of them calls first.
        max_calls: how many calls one of them runs before another takes its place; None: all.
        options: of the actors.
    """

    window_grows = False

    def __init__(
        self,
        size: int,
        initializer: Callable[..., Any] | None,
        initargs: tuple,
        max_calls: int | None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.at_least = size
        made = remote(_Worker) if not options else remote(**options)(_Worker)
        self._hire = lambda: _Hired(made.remote(initializer, initargs))
        self._max_calls = max_calls
        self._lock = Lock()
        self._free: list[_Hired] = []
        self._busy: set[_Hired] = set()

    def export(self, function: Callable[..., Any]) -> ObjectRef:
        """Stores what many calls will name."""
        return put(function)

    def start(self, call: Call) -> ObjectRef:
        with self._lock:
            call.worker = worker = self._free.pop() if self._free else self._hire()
            self._busy.add(worker)
        ref = worker.handle.run.remote(call.function, *call.args, **call.kwargs)
        worker.calls += 1
        return ref

    def ended(self, call: Call) -> None:
        """Its actor is free for the next, unless it has run enough."""
        worker = call.worker
        if worker is None:
            return
        with self._lock:
            self._busy.discard(worker)
            if self._max_calls is None or worker.calls < self._max_calls:
                self._free.append(worker)

    def has_died(self, error: BaseException, call: Call) -> bool:
        """Whether `error` tells that the actor of `call` died, or never lived."""
        if not isinstance(error, (ActorDiedError, ActorUnschedulableError, RaySystemError)):
            return False
        with self._lock:
            self._busy.discard(call.worker)
        call.worker = None
        return True

    def kill(self, refs: list[ObjectRef]) -> None:
        """Ends all actors, also those that run a call."""
        with self._lock:
            workers = [*self._free, *self._busy]
            self._free.clear()
            self._busy.clear()
        for worker in workers:
            try:
                kill_actor(worker.handle)
            except (RaySystemError, ValueError):  # the runtime stopped, and they with it
                return

    def close(self) -> None:
        """Lets go of the actors; they end in peace."""
        with self._lock:
            self._free.clear()

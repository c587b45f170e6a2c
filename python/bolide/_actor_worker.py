"""The instance of an actor in its worker process: making it, running calls in threads, ending it.

It is not the loop that takes calls (`bolide._hot`) and not the event loop of async actors
(`bolide._actor_async`). Thread safety: the constructor runs before any other thread; afterwards
the actor of the process does not change.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextvars import ContextVar

from . import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CONSTRUCTOR, INTENDED, STATUS = 1, 2, 3  # ipc::ExitKind


class ActorExit(SystemExit):
    """What exit_actor() raises in a method; its text is for those whose calls fail."""


class Actor:
    """The actor of this process.

    Fields: `instance`; `id`, the number of its object; `class_name`; `name` ("" if it has none) and
    `namespace`; `restarts`, how often it was started before; `is_async`; `graceful`, whether it
    ends in peace, so that ``__ray_shutdown__`` is called.
    """

    def __init__(self, actor_id: int, restarts: int, spec: tuple) -> None:
        self.id = actor_id
        self.restarts = restarts
        self.class_name, self.methods, self.limits, self.is_async, key, self.info_data = spec
        namespace, _, name = key.decode().rpartition("\0")
        self.namespace, self.name = namespace, name
        self.instance: Any = None
        self.graceful = True


_actor: Actor | None = None  # of this process
# Of an actor that runs several calls at a time: the one that runs in this thread or coroutine.
current_call: ContextVar[_hot.ActorCall | None] = ContextVar("bolide_actor_call", default=None)


def current_actor() -> Actor | None:
    """The actor whose code runs here: of the process, or of the thread if an engine runs calls."""
    session = _hot.current_session()
    engine = None if session is None else session.engine
    return _actor if engine is None else engine.actor()


class Constructor:
    """The callable of a constructor's task."""

    def __init__(self, cls: type, actor_id: int, restarts: int) -> None:
        self._cls = cls
        self._id = actor_id
        self._restarts = restarts

    def __call__(self, spec: tuple, *args: Any, **kwargs: Any) -> None:
        global _actor
        actor = _actor = Actor(self._id, self._restarts, spec)
        runner: Any = None
        if actor.is_async:
            from ._actor_async import LoopRunner

            runner = LoopRunner(actor.limits)
        elif len(actor.limits) > 1 or actor.limits[0] > 1:
            runner = ThreadRunner(actor.limits)
        actor.instance = self._cls(*args, **kwargs)
        methods = [_method(actor, name) for name in actor.methods]
        label = label_of(actor)
        fields = {"actor_repr": label, "actor_id": actor_id_of(actor).hex()}
        _hot.set_actor(methods, runner, label, fields, current_call)


def actor_id_of(actor: Actor) -> Any:
    from ._ids import ActorID

    return ActorID.of(_hot.current_session().id, actor.id)


def _method(actor: Actor, name: str) -> tuple[Callable[..., Any], str, None, bool]:
    """A method as `_hot.set_actor` wants it."""
    from ._generators import is_coroutine_function

    method = bound_method(actor, name)
    return method, f"{actor.class_name}.{name}", None, is_coroutine_function(method)


def bound_method(actor: Actor, name: str) -> Callable[..., Any]:
    """A method of the instance, or one that each actor has."""

    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(actor.instance, *args, **kwargs)

    built_in = {"__ray_ready__": _ready, "__ray_call__": call, "__ray_terminate__": _terminate}
    return getattr(actor.instance, name, None) or built_in[name]


def _ready() -> bool:
    return True


def _terminate() -> None:
    raise ActorExit("it was ended by __ray_terminate__")


def label_of(actor: Actor) -> str:
    """What lines of output and errors call the actor: its repr if the class has one of its own."""
    cls = type(actor.instance)
    if cls.__repr__ is object.__repr__:
        return actor.class_name
    try:
        return repr(actor.instance)
    except Exception:
        return actor.class_name


def end_of(
    actor: Actor | None, error: BaseException, in_constructor: bool, name: str
) -> tuple[int | None, bytes, int]:
    """Whether and how an exception ends the actor; then also whether that is in peace.

    Args:
        actor: which; None if it could not be made at all.
        error: what was raised.
        in_constructor: by the constructor; else by a method.
        name: of the class or the method.

    Returns:
        (kind, text, status): the ipc::ExitKind that is told to the node, with its bytes, None if
        the actor goes on; `status` is the one with which the process is to exit.
    """
    from .exceptions import AsyncioActorExit

    if isinstance(error, (ActorExit, AsyncioActorExit)):
        return INTENDED, str(error).encode("utf-8", "replace"), 0
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or code == 0:
            return INTENDED, f"'{name}' called sys.exit(0)".encode("utf-8", "replace"), 0
        _give_up_grace(actor)
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
        return STATUS, b"", code & 0xFF
    if not in_constructor:
        return None, b"", 0
    from ._serialize import pack_error

    _give_up_grace(actor)
    data = pack_error(error, f"{name}.__init__", os.getpid(), actor_repr=name)
    return CONSTRUCTOR, data, 1


def _give_up_grace(actor: Actor | None) -> None:
    if actor is not None:
        actor.graceful = False


def finish() -> None:
    """What is done in an actor's process before it ends by itself: cleaning up, exit handlers."""
    if _actor is None:
        return
    import atexit

    shut_down(_actor)
    _actor.instance = None
    _hot.set_actor(None, None, _actor.class_name, {}, None)
    atexit._run_exitfuncs()


def shut_down(actor: Actor, passed_on: tuple[type[BaseException], ...] = ()) -> None:
    """Calls ``__ray_shutdown__`` of an actor that ends in peace.

    What it raises is printed, since nobody is there to get it; but not what is to be `passed_on`.
    """
    shutdown = getattr(actor.instance, "__ray_shutdown__", None) if actor.graceful else None
    if shutdown is None:
        return
    try:
        shutdown()
    except passed_on:
        raise
    except BaseException:
        import traceback

        sys.stderr.write(
            f"__ray_shutdown__ of {actor.class_name} raised:\n{traceback.format_exc()}"
        )


class ThreadRunner:
    """Runs calls in threads: as many for each concurrency group as it has calls at a time.

    The node sends no more than that (sched::CallGroup), so a call never waits for a thread.
    """

    def __init__(self, limits: list[int]) -> None:
        import queue

        self._limits = limits
        self._calls = [queue.SimpleQueue() for _ in limits]
        self._threads: list[list[Any]] = [[] for _ in limits]
        self._free: list[deque[None]] = [deque() for _ in limits]  # an item for each idle thread

    def run(self, session: Any) -> int:
        """On the main thread: takes calls until the actor is to end; its exit status."""
        status = _hot.feed_calls(session, self.start)
        self.finish()
        return status

    def finish(self, patience: float | None = None) -> None:
        """Ends the threads with their calls; waits for each `patience` seconds at most."""
        import threading

        for calls, threads in zip(self._calls, self._threads):
            for _ in threads:
                calls.put(None)
        for thread in (thread for threads in self._threads for thread in threads):
            if thread is not threading.current_thread():
                thread.join(patience)

    def start(self, call: _hot.ActorCall) -> None:
        group = call.group
        try:
            self._free[group].pop()
        except IndexError:
            # A thread that has answered, but does not say so yet, will take it.
            if len(self._threads[group]) < self._limits[group]:
                self._add_thread(group)
        self._calls[group].put(call)

    def _add_thread(self, group: int) -> None:
        import threading

        thread = threading.Thread(
            target=self._work, args=(group,), name=f"bolide-call-{group}", daemon=True
        )
        self._threads[group].append(thread)
        thread.start()

    def cancel(self, sequence: int) -> None:
        """A thread cannot be interrupted: the call may ask whether it was cancelled."""

    def stop(self) -> None:
        """A call has ended the actor: the main thread is to leave its loop."""
        _hot.end_feeding()

    def _work(self, group: int) -> None:
        get = self._calls[group].get
        while (call := get()) is not None:
            current_call.set(call)
            call.run()
            call = None
            current_call.set(None)
            self._free[group].append(None)

"""The actors of inline mode: their instances, their event loops, and how they end.

Names, handles and when the last of these has gone are the core's, as with workers.
Thread safety: `lock` is held while a call of the actor runs.
"""

from __future__ import annotations

import bdb
import selectors
import struct
import threading

from .. import _actor_worker, _hot
from .._actor_methods import DETACHED
from .._ids import ActorID

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from .inline import Arguments, InlineEngine

# What ends the program or the debugger's session, and is no outcome of a task.
PASSED_ON = (KeyboardInterrupt, bdb.BdbQuit)
_DIED, _UNAVAILABLE, _INIT_FAILED = 16, 17, 19  # node::SystemErrorKind


class Instance:
    """One actor.

    Fields: `number`, of its object; `actor`, what its code is told of itself; `death`, the core's
    error for each call once it is dead, else None; `error_fields`, of RayTaskError; `lock`.
    """

    def __init__(
        self,
        engine: InlineEngine,
        handle: _hot.ActorHandle,
        cls: Callable[..., Any],
        value: bytes,
        spec: tuple,
        arguments: Arguments,
    ) -> None:
        self._engine = engine
        self._cls = cls
        self._spec = spec
        self._arguments = arguments
        self._actor_id = handle._actor_id.hex()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.number: int = handle._ray_actor.id
        (length,) = struct.unpack_from("<I", value)
        self._restarts, _, flags = struct.unpack_from("<iiI", value, 4 + length)
        self._kept = handle if flags & DETACHED else None
        self.actor = _actor_worker.Actor(self.number, 0, spec)
        self.death: bytes | None = None
        self.error_fields: dict[str, str] = {}
        self.lock = threading.RLock()

    def start(self) -> None:
        """Calls the constructor; if it raises, the actor is dead."""
        name = self.actor.class_name
        try:
            with self.lock:
                self._engine.run_as((self.number, None, name), self.actor, self._construct)
        except PASSED_ON:
            self.actor.graceful = False
            self._die(_DIED, self._sentence("its constructor was interrupted."))
            raise
        except BaseException as error:
            self.ended_by(error, name, in_constructor=True)
        else:
            label = _actor_worker.label_of(self.actor)
            self.error_fields = {"actor_repr": label, "actor_id": self._actor_id}

    def call_method(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What a method returns; a coroutine is run to its end."""
        result = _actor_worker.bound_method(self.actor, name)(*args, **kwargs)
        return self._run_to_end(result) if hasattr(result, "__await__") else result

    def kill(self, no_restart: bool) -> None:
        """Ends it, or makes it anew."""
        if self.death is not None:
            return
        if no_restart or self._restarts == 0:
            self.actor.graceful = False
            self._die(_DIED, self._sentence("it was killed by kill()."))
            return
        self._start_again()

    def ended_by(
        self, error: BaseException, name: str, in_constructor: bool = False
    ) -> bytes | None:
        """The core's error for a call whose exception has ended the actor; None if it goes on.

        That is `death`, unless it exited with a status and was made anew, as if a worker had died.
        """
        kind, data, status = _actor_worker.end_of(self.actor, error, in_constructor, name)
        if kind is None:
            return None
        if kind == _actor_worker.CONSTRUCTOR:
            self._die(_INIT_FAILED, data)
        elif kind == _actor_worker.INTENDED:
            self._die(_DIED, self._sentence(data.decode("utf-8", "replace") + "."))
        elif in_constructor or self._restarts == 0:
            self._die(_DIED, self._sentence(f"it exited with status {status}."))
        else:
            self._start_again()
            text = (
                f"{name!r} exited with status {status}, and its actor is being started again; set "
                "max_task_retries if calls may run more than once"
            )
            return _error(_UNAVAILABLE, self.number, text.encode("utf-8", "replace"))
        return self.death

    def end(self) -> None:
        """Lets go of the instance."""
        actor = self.actor
        try:
            self._engine.run_as(
                (self.number, None, "__ray_shutdown__"),
                actor,
                lambda: _actor_worker.shut_down(actor, PASSED_ON),
            )
        finally:
            actor.instance = None
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.close()

    def _start_again(self) -> None:
        self._restarts -= 1  # of -1, for any number, it never becomes 0
        self.actor.graceful = False
        self.end()
        self.actor = _actor_worker.Actor(self.number, self.actor.restarts + 1, self._spec)
        self.start()

    def _construct(self) -> None:
        failed = self._arguments.failed()
        if failed is not None:
            _hot.get(failed)
        args, kwargs = self._arguments.read()
        self.actor.instance = self._cls(*args, **kwargs)

    def _sentence(self, why: str) -> bytes:
        name = self.actor.class_name
        return f"The actor '{name}' (id {self._actor_id}) is dead: {why}".encode("utf-8", "replace")

    def _die(self, kind: int, text: bytes) -> None:
        self.death = _error(kind, self.number, text)
        self._kept = None
        _hot.free_actor(self.number)
        self.end()

    def _run_to_end(self, awaitable: Any) -> Any:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop(_Selector())
        outer = asyncio._get_running_loop()  # the caller may be a coroutine
        asyncio._set_running_loop(None)
        try:
            return self._loop.run_until_complete(_awaited(awaitable))
        finally:
            asyncio._set_running_loop(outer)


def gone(number: int) -> bytes:
    """The core's error for a call of an actor that nothing is left of."""
    actor_id = ActorID.of(_hot.current_session().id, number).hex()
    why = "all handles that count had gone out of scope when it was called."
    return _error(_DIED, number, f"The actor (id {actor_id}) is dead: {why}".encode())


def _error(kind: int, number: int, text: bytes) -> bytes:
    return struct.pack("<IIQ", kind, 0, number) + text


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


class _Selector(selectors.DefaultSelector):
    """Raises where the event loop would sleep for ever: nothing is left that could wake it."""

    def select(self, timeout: float | None = None) -> list:
        # The loop itself has one descriptor, to which only another thread writes.
        if timeout is None and len(self.get_map()) == 1 and threading.active_count() == 1:
            raise RuntimeError(
                "a coroutine of an actor waits for what a later call would bring, but with "
                "local_mode=True a call is run to its end before the next begins; leave it out to "
                "run this program"
            )
        return super().select(timeout)

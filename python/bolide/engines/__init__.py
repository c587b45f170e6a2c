"""Engines: who runs what `f.remote(...)` and `method.remote(...)` call.

The usual engine is the C++ core: calls become records in the rings of worker processes. A session
may be given another, an `Engine`, before its first call (`Session.use_engine`). Objects stay with
the core in any case: references, `get`, `put` and `wait` are the same, so an engine only has to
run calls and to put what they return (`bolide._hot.put_results`, `put_errors`).

This module is the interface and nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._actor_worker import Actor
    from .._hot import ActorHandle, ActorMethod, ObjectRef, RemoteFunction


class Engine:
    """What runs calls in place of the core. Arguments have been checked against the signature."""

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any], callee: Any) -> Any:
        """What `call` and `create_actor` are given of the arguments of a call.

        Raises what pickling one raises; `callee._argument_subject` names it.
        """
        raise NotImplementedError

    def call(self, callee: RemoteFunction | ActorMethod, arguments: Any) -> Any:
        """Runs `callee`; what its `.remote()` returns: a reference, a list of them, a generator."""
        raise NotImplementedError

    def create_actor(
        self, handle: ActorHandle, cls: ObjectRef, value: bytes, spec: tuple, arguments: Any
    ) -> None:
        """Makes the instance of an actor that the core knows already, by name too.

        Args:
            handle: its first handle.
            cls: the exported class.
            value: of the actor's object (`bolide._actor_methods.encode_actor`).
            spec: what `bolide._actor_worker.Actor` is made of.
            arguments: of the constructor.
        """
        raise NotImplementedError

    def kill(self, actor: int, no_restart: bool) -> None:
        """Ends an actor, given by the number of its object."""
        raise NotImplementedError

    def cancel(self, ref: ObjectRef, recursive: bool) -> None:
        """Ends the call that makes this object, and, `recursive`, those that it has made."""
        raise NotImplementedError

    def is_actor_call(self, ref: ObjectRef) -> bool:
        """Whether a call of an actor has returned this object."""
        raise NotImplementedError

    def running(self) -> tuple[int, str | None, str | None]:
        """(number, name, function) of what runs in this thread; 0 and None if nothing does."""
        raise NotImplementedError

    def is_cancelled(self) -> bool:
        """Whether what runs in this thread was cancelled; something does."""
        raise NotImplementedError

    def actor(self) -> Actor | None:
        """The actor whose code runs in this thread."""
        raise NotImplementedError

    def begin_wait(self) -> Any:
        """A thread begins to wait for objects without a limit.

        Returns an object whose `check()` is called now and then, and may raise where the wait is to
        end, and whose `end()` is called after the wait.
        """
        raise NotImplementedError

    def close(self) -> None:
        """The runtime is shut down."""
        raise NotImplementedError

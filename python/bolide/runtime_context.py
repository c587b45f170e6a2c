"""`get_runtime_context`: what the code that runs can ask about itself. Here: about its actor.

Follows Ray's page "Runtime Context". Thread safety: reads only.
"""

from __future__ import annotations

import sys

from . import _hot, _runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._actor_worker import Actor


class RuntimeContext:
    """What there is to know about the driver, task or actor that asks."""

    @property
    def namespace(self) -> str:
        """Where the names of actors count that are made or looked up here."""
        return _runtime.current_namespace()

    def get_actor_id(self) -> str | None:
        """The id of this actor as 32 hexadecimal digits; None outside of actors."""
        actor = _actor()
        if actor is None:
            return None
        from ._actor_worker import actor_id_of

        return actor_id_of(actor).hex()

    def get_actor_name(self) -> str | None:
        """The name of this actor, "" if it has none; None outside of actors."""
        actor = _actor()
        return None if actor is None else actor.name

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether this actor was started again after its process had died."""
        return _need_actor().restarts > 0

    @property
    def current_actor(self) -> _hot.ActorHandle:
        """A handle of this actor to itself, which does not keep it alive.

        Raises:
            RuntimeError: this is not an actor.
        """
        actor = _need_actor()
        return _hot._rebuild_weak_handle(actor.id, _hot.current_session().id, actor.info_data)

    def is_canceled(self) -> bool:
        """Whether the task or call that runs was cancelled; see `bolide.cancel`.

        Raises:
            RuntimeError: this is the driver, or an async actor, whose coroutines are cancelled.
        """
        session = _hot.current_session()
        if session is None or not session.is_worker:
            raise RuntimeError("is_canceled() can only be asked in a task or in an actor's method")
        actor = _actor()
        if actor is not None and actor.is_async:
            raise RuntimeError(
                "is_canceled() is not supported in async actors: their coroutines are cancelled as "
                "asyncio does it; catch asyncio.CancelledError"
            )
        return _hot.is_interrupted()


def get_runtime_context() -> RuntimeContext:
    """What the code that runs can ask about itself.

    Example:
        >>> get_runtime_context().get_actor_id()  # in a method of an actor
        '0123456789abcdef0000020000000007'

    Follows Ray's page "ray.runtime_context.get_runtime_context".
    """
    return RuntimeContext()


def _actor() -> Actor | None:
    module = sys.modules.get("bolide._actor_worker")
    return None if module is None else module.current


def _need_actor() -> Actor:
    actor = _actor()
    if actor is None:
        raise RuntimeError(
            "this is not an actor; the value is known only in the constructor and methods of one"
        )
    return actor

"""One call in inline mode: its arguments, its attempts, and what becomes of its outcome.

It is not when and where it runs: at once (`InlineEngine.call`), or later (`_inline_later`).
Thread safety: a Call is used by one thread at a time.
"""

from __future__ import annotations

import bdb
from contextlib import nullcontext
from functools import partial

from .. import _hot
from .._actor_worker import current_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._actor_worker import Actor
    from .._hot import ActorMethod, ObjectRef, RemoteFunction
    from ._inline_actor import Instance
    from .inline import InlineEngine

# What ends the program or the debugger's session, and is no outcome of a task.
PASSED_ON = (KeyboardInterrupt, bdb.BdbQuit)
_DYNAMIC, _STREAMING = 64, 4  # ipc::TaskFlags


class Arguments:
    """The arguments of a call as objects, so that each attempt reads its own copies."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], callee: Any) -> None:
        self._args = [_as_ref(value, callee, i) for i, value in enumerate(args)]
        self._kwargs = {name: _as_ref(value, callee, name) for name, value in kwargs.items()}

    def pending(self) -> list[ObjectRef]:
        """Those that are not there yet."""
        return [ref for ref in (*self._args, *self._kwargs.values()) if not ref.is_ready()]

    def failed(self) -> ObjectRef | None:
        """The first that is an exception: then the call has it for its outcome."""
        refs = (*self._args, *self._kwargs.values())
        return next((ref for ref in refs if _hot.is_error(ref)), None)

    def read(self) -> tuple[list[Any], dict[str, Any]]:
        """Fresh copies."""
        named = {name: _hot.get(ref) for name, ref in self._kwargs.items()}
        return [_hot.get(ref) for ref in self._args], named


def _as_ref(value: Any, callee: Any, where: int | str) -> ObjectRef:
    if isinstance(value, _hot.ObjectRef):
        return value
    return _hot.put_argument(value, lambda: callee._argument_subject(where))


class Part:
    """What runs in a thread or coroutine, for what it asks of itself.

    Fields: `about`, (number, name, function); `actor`, whose code it is, or None; `cancelled`.
    """

    cancelled = False

    def __init__(self, about: tuple[int, str | None, str], actor: Actor | None) -> None:
        self.about = about
        self.actor = actor

    def run(self, function: Callable[[], Any]) -> Any:
        """What `function` returns."""
        token = current_call.set(self)
        try:
            return function()
        finally:
            current_call.reset(token)


class Call:
    """One call of a function or method."""

    def __init__(self, engine: InlineEngine, callee: RemoteFunction | ActorMethod) -> None:
        self._engine = engine
        (
            self.returns, flags, self._retries, self.limit, name, self._retry_on, self.group,
        ) = callee._fields()  # fmt: skip
        self.streams = bool(flags & _STREAMING)
        self._dynamic = bool(flags & _DYNAMIC)
        self.number = _hot.put(None)._id  # an id that nothing else has
        self.instance: Instance | None = None
        self._gone: bytes | None = None  # the error of a call of an actor that nothing is left of
        self.turn: Any = nullcontext()
        self.of_actor = isinstance(callee, _hot.ActorMethod)
        if self.of_actor:
            self.instance = engine.instance(callee._actor_number)
            if self.instance is None:
                from ._inline_actor import gone

                self._gone = gone(callee._actor_number)
            else:
                self.turn = self.instance.turn
            self.function_name = callee._argument_subject(None)
            self.method = callee._info.name
        else:
            self._exported = callee.exported.reference()
            self.function_name = callee.exported.name
        self.about = self.number, name.decode("utf-8", "replace") or None, self.function_name

    def run(self, arguments: Arguments) -> list[ObjectRef]:
        """Runs it now; the objects that it returns."""
        with self.turn:
            attempt = 0
            while True:
                early = self.early_outcome(arguments)
                if early is not None:
                    return [_hot.put_copy(early) for _ in range(self.returns)]
                try:
                    return self.run_as(partial(self._put_attempt, arguments, attempt))
                except PASSED_ON:
                    raise
                except BaseException as error:
                    outcome = self.outcome_of(error, attempt, self.returns)
                if outcome is not None:
                    return outcome
                attempt += 1

    def _put_attempt(self, arguments: Arguments, attempt: int) -> list[ObjectRef]:
        return self.put(self.begin(arguments), attempt)

    def early_outcome(self, arguments: Arguments) -> ObjectRef | None:
        """The error of a call that cannot run: an argument has failed, or the actor is dead."""
        death = self._gone if self.instance is None else self.instance.death
        return arguments.failed() if death is None else _hot.put_system_error(death)

    def begin(self, arguments: Arguments) -> Any:
        """Calls the function; what it returns, for an ``async def`` the coroutine."""
        args, kwargs = arguments.read()
        if self.instance is not None:
            return self.instance.bound_method(self.method)(*args, **kwargs)
        return self._engine.function(self._exported)(*args, **kwargs)

    def put(
        self, result: Any, attempt: int, into: list[ObjectRef] | None = None
    ) -> list[ObjectRef]:
        """The objects of what it returned, which keep the promises `into`."""
        again = self._retry_on is not None and self._has_left(attempt)
        return _hot.put_results(
            self.returns, result, self.function_name, self._dynamic, again, into
        )

    def run_as(self, function: Callable[[], Any]) -> Any:
        """Runs a part of the call."""
        actor = None if self.instance is None else self.instance.actor
        with self.turn:
            return Part(self.about, actor).run(function)

    def outcome_of(
        self, error: BaseException, attempt: int, count: int, into: list[ObjectRef] | None = None
    ) -> list[ObjectRef] | None:
        """What the call gives in place of values after this exception; None: it is to run again.

        An actor may end by it, or begin again.
        """
        fields: dict[str, str] = {}
        if self.instance is not None:
            end = self.instance.ended_by(error, self.function_name)
            if end is not None:
                if end is not self.instance.death and self._has_left(attempt):
                    return None
                return system_errors(end, count, into)
            fields = self.instance.error_fields
        if self._retry_on is not None and self._has_left(attempt):
            from .._retries import wants_retry

            if wants_retry(error, self._retry_on):
                return None
        return _hot.put_errors(count, error, self.function_name, fields, into)

    def may_run_again(self, attempt: int) -> bool:
        """Whether it does when its actor is killed and starts again."""
        return self._has_left(attempt)

    def _has_left(self, attempt: int) -> bool:
        """Whether there may be another attempt after this one, counted from 0."""
        return self._retries < 0 or attempt < self._retries


def system_errors(value: bytes, count: int, into: list[ObjectRef] | None = None) -> list[ObjectRef]:
    """That many objects with the same error of the core."""
    if into is None:
        return [_hot.put_system_error(value) for _ in range(count)]
    return [_hot.put_system_error(value, ref) for ref in into]

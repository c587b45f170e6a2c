"""`init(local_mode=True)`: every call runs in this process, in the thread that makes it, at once.

So a debugger, coverage and a profiler see tasks as any other function. What a program can observe
is otherwise as with workers: functions, arguments and results are pickled and read again,
exceptions come out of `get`, a failed argument fails the call, retries count. A call has ended when
`.remote()` returns; a generator runs until it is as far ahead of its consumer as it may be, and on
when items are taken.

Thread safety: any thread. Tasks that threads call run beside each other; calls of one actor do not.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from contextlib import nullcontext

from .. import _hot
from .._cancel import force_error
from . import Engine
from ._inline_actor import PASSED_ON, Instance, gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._actor_worker import Actor
    from .._core import Node
    from .._hot import ActorHandle, ActorMethod, ObjectRef, RemoteFunction

_DYNAMIC, _STREAMING = 64, 4  # ipc::TaskFlags
_CANCELLED, _END_OF_STREAM = 6, 8  # node::SystemErrorKind
_AHEAD = 10_000  # items of a generator without a limit of its own
_MANY = 1000  # results of actors, before it is asked which of them are gone


class InlineEngine(Engine):
    """Runs calls where they are made."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._functions: dict[int, Any] = {}  # by the number of their object
        self._actors: dict[int, Instance] = {}
        self._of_actors: set[int] = set()  # numbers of what calls of actors have returned
        self._most_of_actors = _MANY
        self._running = threading.local()

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any], callee: Any) -> Arguments:
        return Arguments(args, kwargs, callee)

    def call(self, callee: RemoteFunction | ActorMethod, arguments: Arguments) -> Any:
        self._forget_unreferenced()
        call = _Call(self, callee)
        if call.streams:
            return _hot.make_source_generator(_Source(call, arguments, callee))
        refs = call.run(arguments)
        if call.of_actor:
            self._note_of_actor(refs)
        return refs if call.returns > 1 else refs[0] if refs else None

    def create_actor(
        self, handle: ActorHandle, cls: ObjectRef, value: bytes, spec: tuple, arguments: Arguments
    ) -> None:
        self._forget_unreferenced()
        instance = Instance(self, handle, self.function(cls), value, spec, arguments)
        self._actors[instance.number] = instance
        instance.start()

    def kill(self, actor: int, no_restart: bool) -> None:
        instance = self._actors.get(actor)
        if instance is not None:
            instance.kill(no_restart)

    def is_actor_call(self, ref: ObjectRef) -> bool:
        return ref._id in self._of_actors

    def running(self) -> tuple[int, str | None, str | None]:
        stack = self._stack()
        return stack[-1][0] if stack else (0, None, None)

    def actor(self) -> Actor | None:
        stack = self._stack()
        return stack[-1][1] if stack else None

    def close(self) -> None:
        while self._actors:
            _, instance = self._actors.popitem()
            instance.end()
        self._functions.clear()

    def function(self, ref: ObjectRef) -> Any:
        """The function or class that was exported, loaded once, as a worker does."""
        found = self._functions.get(ref._id)
        if found is None:
            found = self._functions[ref._id] = _hot.load_exported(ref)[0]
        return found

    def instance(self, actor: int) -> Instance | None:
        """The actor with that number, while it has handles or runs."""
        return self._actors.get(actor)

    def run_as(
        self, call: tuple[int, str | None, str], actor: Actor | None, function: Callable[[], Any]
    ) -> Any:
        """What `function` returns; for what it asks of itself it is that call, in that actor."""
        stack = self._stack()
        stack.append((call, actor))
        try:
            return function()
        finally:
            stack.pop()

    def _stack(self) -> list[tuple[tuple[int, str | None, str], Actor | None]]:
        if not hasattr(self._running, "stack"):
            self._running.stack = []
        return self._running.stack

    def _note_of_actor(self, refs: list[ObjectRef]) -> None:
        """Remembers whose results these are; those that are gone are looked for now and then."""
        found = self._of_actors
        found.update(ref._id for ref in refs)
        if len(found) > self._most_of_actors:
            found.difference_update([n for n in list(found) if not self._node.references(n)])
            self._most_of_actors = _MANY + 2 * len(found)

    def _forget_unreferenced(self) -> None:
        """Ends actors without handles and drops functions; the core counts the references."""
        for number in [n for n in list(self._actors) if not self._node.references(n)]:
            instance = self._actors.pop(number, None)
            if instance is not None:
                instance.end()
        for number in [n for n in list(self._functions) if not self._node.references(n)]:
            self._functions.pop(number, None)


class Arguments:
    """The arguments of a call as objects, so that each attempt reads its own copies."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], callee: Any) -> None:
        self._args = [_as_ref(value, callee, i) for i, value in enumerate(args)]
        self._kwargs = {name: _as_ref(value, callee, name) for name, value in kwargs.items()}

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


class _Call:
    """One call of a function or method: how often it may run, and what becomes of its outcome."""

    def __init__(self, engine: InlineEngine, callee: RemoteFunction | ActorMethod) -> None:
        self._engine = engine
        self.returns, flags, self._retries, self.limit, name, self._retry_on = callee._fields()
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
                self._gone = gone(callee._actor_number)
            else:
                self.turn = self.instance.lock
            self.function_name = callee._argument_subject(None)
            self._method = callee._info.name
        else:
            self._exported = callee.exported.reference()
            self.function_name = callee.exported.name
        self._about = self.number, name.decode("utf-8", "replace") or None, self.function_name

    def run(self, arguments: Arguments) -> list[ObjectRef]:
        """The objects that the call returns."""
        with self.turn:
            return self._run(arguments)

    def _run(self, arguments: Arguments) -> list[ObjectRef]:
        attempt = 0
        while True:
            early = self.early_outcome(arguments)
            if early is not None:
                return [_hot.put_copy(early) for _ in range(self.returns)]
            again = self._retry_on is not None and self._has_left(attempt)
            try:
                return self.run_as(
                    lambda: _hot.put_results(  # runs before the next turn
                        self.returns, self.begin(arguments), self.function_name, self._dynamic,
                        again,  # noqa: B023  (called before the loop goes on)
                    )
                )  # fmt: skip
            except PASSED_ON:
                raise
            except BaseException as error:
                outcome = self.outcome_of(error, attempt, self.returns)
            if outcome is not None:
                return outcome
            attempt += 1

    def early_outcome(self, arguments: Arguments) -> ObjectRef | None:
        """The error of a call that cannot run: an argument has failed, or the actor is dead."""
        death = self._gone if self.instance is None else self.instance.death
        return arguments.failed() if death is None else _hot.put_system_error(death)

    def begin(self, arguments: Arguments) -> Any:
        """Calls the function; what it returns, for a coroutine its result."""
        args, kwargs = arguments.read()
        if self.instance is not None:
            return self.instance.call_method(self._method, args, kwargs)
        return self._engine.function(self._exported)(*args, **kwargs)

    def run_as(self, function: Callable[[], Any]) -> Any:
        """Runs a part of the call."""
        actor = None if self.instance is None else self.instance.actor
        with self.turn:
            return self._engine.run_as(self._about, actor, function)

    def outcome_of(self, error: BaseException, attempt: int, count: int) -> list[ObjectRef] | None:
        """What the call gives in place of values after this exception; None: it is to run again.

        An actor may end by it, or begin again.
        """
        fields: dict[str, str] = {}
        if self.instance is not None:
            end = self.instance.ended_by(error, self.function_name)
            if end is not None:
                if end is not self.instance.death and self._has_left(attempt):
                    return None
                return [_hot.put_system_error(end) for _ in range(count)]
            fields = self.instance.error_fields
        if self._retry_on is not None and self._has_left(attempt):
            from .._retries import wants_retry

            if wants_retry(error, self._retry_on):
                return None
        return _hot.put_errors(count, error, self.function_name, fields)

    def _has_left(self, attempt: int) -> bool:
        """Whether there may be another attempt after this one, counted from 0."""
        return self._retries < 0 or attempt < self._retries


class _Source:
    """What makes the references of an ObjectRefGenerator (`_hot_stream.pxi`)."""

    def __init__(self, call: _Call, arguments: Arguments, callee: Any) -> None:
        self._call = call
        self._callee = callee  # whose handle keeps the actor until the last item
        self._arguments: Any = arguments
        self._attempt = 0
        self._yielded = 0  # items of this attempt
        self._made = 0  # of all: no attempt gives again what an earlier one gave
        self._ready: deque[ObjectRef] = deque()
        self._items: Iterator[Any] | None = None
        self._outcome: ObjectRef | None = None
        self._start()
        self._advance(0)

    def next(self, taken: int) -> tuple[ObjectRef, ObjectRef | None]:
        """The next item, or the mark of the end; and the outcome, once there is one.

        `taken`: how many items the consumer has taken, without the one that it gets here.
        """
        self._advance(taken)
        item = self._ready.popleft() if self._ready else _end_of_stream()
        return item, self._outcome

    def finish(self) -> ObjectRef:
        """The outcome, for which the generator runs to its end."""
        while self._outcome is None:
            self._step(self._take)
        return self._outcome

    def cancel(self, force: bool) -> None:
        """No more is made. ValueError: `force` for a call of an actor."""
        if self._outcome is not None:
            return
        if force and self._call.of_actor:
            raise force_error()
        text = f"{self._call.number:016x}It is a call of {self._call.function_name!r}."
        self._end(_hot.put_system_error(struct.pack("<II", _CANCELLED, 0) + text.encode()))

    def _advance(self, taken: int) -> None:
        while self._outcome is None and self._made - taken < (self._call.limit or _AHEAD):
            self._step(self._take)

    def _start(self) -> None:
        """Begins an attempt."""
        self._yielded = 0
        with self._call.turn:
            early = self._call.early_outcome(self._arguments)
            if early is None:
                self._step(self._begin)
            else:
                self._end(early)

    def _begin(self) -> None:
        from .._generators import items_of

        self._items = items_of(self._call.begin(self._arguments))

    def _take(self) -> None:
        assert self._items is not None
        name = self._call.function_name
        try:
            item = next(self._items)
        except StopIteration:
            _hot.check_item_count(self._yielded, self._made, name)
            self._end(_hot.put(None))
            return
        self._yielded += 1
        if self._yielded > self._made:
            self._ready += _hot.put_results(1, item, name, False, False)
            self._made += 1

    def _step(self, function: Callable[[], None]) -> None:
        try:
            self._call.run_as(function)
        except PASSED_ON:
            raise
        except BaseException as error:
            outcome = self._call.outcome_of(error, self._attempt, 1)
            if outcome is None:
                self._attempt += 1
                self._start()
            else:
                self._end(outcome[0])

    def _end(self, outcome: ObjectRef) -> None:
        self._outcome = outcome
        self._items = self._arguments = self._callee = None


def _end_of_stream() -> ObjectRef:
    return _hot.put_system_error(struct.pack("<II", _END_OF_STREAM, 0))

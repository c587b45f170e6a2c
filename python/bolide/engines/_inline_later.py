"""Calls of inline mode that run later, or beside their caller: their objects are promises.

Such are the calls of actors that run several at a time, calls with an argument that is not there
yet, and calls of an actor that is busy in another thread. To an event loop (`_actor_async.Group`)
or a thread (`_actor_worker.ThreadRunner`) of an actor a Later is what `_hot.ActorCall` is in a
worker.

Thread safety: one thread runs it; others may cancel it and take its items. What it gives first
stays (`_hot.promise`).
"""

from __future__ import annotations

import _thread
import bdb
import copy
import weakref

from .. import _hot
from .._actor_worker import current_call
from .._cancel import force_error
from ._inline_call import system_errors
from ._inline_source import AHEAD, cancelled_error, end_of_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self

    from .._actor_worker import Actor
    from .._hot import ObjectRef
    from ._inline_call import Arguments, Call
    from .inline import InlineEngine

_ALL = 1 << 62  # items taken, of a stream that nobody takes from any more


class _Early(BaseException):
    """The call cannot run: `outcome` is the error that it gives."""

    def __init__(self, outcome: ObjectRef) -> None:
        self.outcome = outcome


class Later:
    """A call that has not ended.

    Fields: `promises`, what it returns; `missing`, how many arguments are not there yet; `caller`,
    whose calls of an actor keep their order; `parent`, the number of the call that made it;
    `restart`, how an event loop begins it again.
    """

    def __init__(self, engine: InlineEngine, call: Call, arguments: Arguments, callee: Any) -> None:
        self._engine = engine
        self._arguments: Any = arguments
        self._callee = callee  # whose handle keeps the actor until the end
        self.call = call
        self.parent, self.caller = engine.caller()
        self.promises = [_hot.promise() for _ in range(call.returns)]
        self.missing = 0
        self.attempt = 0
        self.began = self.done = self.cancelled = False
        self.restart: Callable[[], Any] | None = None
        self.task: Any = None  # of a coroutine that runs: the asyncio.Task

    @property
    def about(self) -> tuple[int, str | None, str]:
        return self.call.about

    @property
    def actor(self) -> Actor | None:
        return None if self.call.instance is None else self.call.instance.actor

    @property
    def group(self) -> int:
        return self.call.group

    @property
    def sequence(self) -> int:
        return self.call.number

    @property
    def streams(self) -> bool:
        return self.call.streams

    @property
    def is_async(self) -> bool:
        """Whether `begin` gives a coroutine."""
        from .._generators import is_coroutine_function

        instance = self.call.instance
        if instance is None or instance.death is not None:
            return False
        return is_coroutine_function(instance.bound_method(self.call.method))

    def pending(self) -> list[ObjectRef]:
        """The arguments that are not there yet."""
        return self._arguments.pending()

    def begin(self) -> Any:
        """Calls the function; what it returns, a coroutine for an ``async def``."""
        early = self.call.early_outcome(self._arguments)
        if early is not None:
            raise _Early(early)
        return self.call.begin(self._arguments)

    def run(self) -> None:
        """Runs it to its end in this thread."""
        self.began = True
        token = current_call.set(self)
        try:
            while not self.done:
                try:
                    result = self._result()
                except BaseException as error:
                    self.fail(error)
                else:
                    self.succeed(result)
        finally:
            current_call.reset(token)

    def _result(self) -> Any:
        return self.begin()

    def succeed(self, result: Any) -> None:
        """Ends it with what the function returned."""
        if self.done:
            return
        if self.cancelled and self.task is None:  # a coroutine has the last word
            self.end_with(cancelled_error(self.call, "was running"))
            return
        try:
            self.call.put(result, self.attempt, self.promises)
        except BaseException as error:
            self.fail(error)
        else:
            self._end()

    def fail(self, error: BaseException) -> None:
        """Ends it with an exception, or begins it again."""
        if self.done:
            return
        if isinstance(error, bdb.BdbQuit):
            _thread.interrupt_main()  # the session of a debugger ends, in whatever thread it was
        if isinstance(error, _Early):
            for ref in self.promises:
                _hot.put_copy(error.outcome, ref)
            self._end()
        elif self.cancelled and (self.task is None or _is_cancellation(error)):
            self.end_with(cancelled_error(self.call, "was running"))
        elif self.call.outcome_of(error, self.attempt, len(self.promises), self.promises) is None:
            self.attempt += 1
            if self.restart is not None:
                self.restart()
        else:
            self._end()

    def end_with(self, error: bytes) -> None:
        """Ends it with an error of the core, also while it runs."""
        if not self.done:
            system_errors(error, len(self.promises), self.promises)
            self._end()

    def cancel(self) -> None:
        """Ends it if it has not begun; else a coroutine is cancelled, and others may ask."""
        if self.done:
            return
        if not self.began:
            self.end_with(cancelled_error(self.call, "had not begun"))
            return
        self.cancelled = True
        if self.call.instance is not None:
            # Also if its coroutine is not made yet: the loop makes it first, and then cancels it.
            self.call.instance.cancel(self)

    def fresh(self) -> Self:
        """The same call, to be begun in place of this one, which comes to nothing."""
        made = copy.copy(self)
        made.attempt += 1
        made.began = False
        made.task = made.restart = None
        self.done = True
        return made

    def _end(self) -> None:
        self.done = True
        self._arguments = self._callee = None
        self._engine.ended(self)


class LaterStream(Later):
    """A call of a generator; its promise is the outcome.

    Item i is the object `slots[i]`, which its maker or its taker promises, whoever comes first.
    """

    def __init__(self, engine: InlineEngine, call: Call, arguments: Arguments, callee: Any) -> None:
        super().__init__(engine, call, arguments, callee)
        self._slots: dict[int, ObjectRef] = {}
        self._yielded = 0  # items of this attempt
        self._made = 0  # of all: no attempt gives again what an earlier one gave
        self._taken = 0  # as the consumer has said
        self._given = 0  # items that the consumer has a reference of
        self._credit: ObjectRef | None = None  # kept when the consumer takes an item
        self.taps: weakref.WeakSet[Tap] = weakref.WeakSet()

    def next(self, taken: int) -> ObjectRef:
        """The object of item `taken`, or of the end."""
        self._taken = taken
        ref = self._slots.setdefault(taken, _hot.promise())
        self._given = taken + 1
        if taken < self._made:
            self._slots.pop(taken, None)
        self._open_credit()
        return ref

    def abandon(self) -> None:
        """Nobody takes items any more. From a finaliser."""
        self.cancelled = True
        self._taken = _ALL
        self._open_credit()

    def may_yield(self) -> bool:
        """Whether the consumer lets it make its next item."""
        ahead = self._yielded - max(self._taken, 0)
        return self.cancelled or self.done or ahead < (self.call.limit or AHEAD)

    def watch_credit(self, completions: _hot.Completions, token: int) -> None:
        """Gives `token` when `may_yield` may have become true."""
        completions.watch(self._next_credit(), token)

    def send(self, item: Any) -> None:
        """Gives the next item, which may be made."""
        if self.done or self._taken == _ALL or self.cancelled and self.task is None:
            raise _Early(_hot.put_system_error(cancelled_error(self.call, "was running")))
        at = self._yielded
        if at == self._made:
            ref = self._slots.setdefault(at, _hot.promise())
            _hot.put_item(item, self.call.function_name, ref)
            self._made = at + 1
            if self._given > at:
                self._slots.pop(at, None)
            self._engine.settle([ref])
        self._yielded = at + 1

    def end_items(self) -> None:
        """The generator has ended."""
        _hot.check_item_count(self._yielded, self._made, self.call.function_name)

    def begin(self) -> Any:
        self._yielded = 0
        return super().begin()

    def fresh(self) -> Self:
        made = super().fresh()
        for tap in self.taps:
            tap.later = made
        return made

    def _result(self) -> None:
        from .._generators import items_of

        items = items_of(self.begin())
        while True:
            while not self.may_yield():
                _hot.wait([self._next_credit()])
            try:
                item = next(items)
            except StopIteration:
                break
            self.send(item)
            item = None
        self.end_items()

    def _next_credit(self) -> ObjectRef:
        credit = self._credit = _hot.promise()
        if self.may_yield():
            self._open_credit()
        return credit

    def _open_credit(self) -> None:
        credit, self._credit = self._credit, None
        if credit is not None:
            _hot.put_item(None, "", credit)

    def _end(self) -> None:
        last = end_of_stream(self._slots.setdefault(self._made, _hot.promise()))
        super()._end()
        self._engine.settle([last])


class Tap:
    """What makes the references of the ObjectRefGenerator of a LaterStream (`_hot_stream.pxi`)."""

    def __init__(self, later: LaterStream) -> None:
        self.later = later
        later.taps.add(self)

    def next(self, taken: int) -> tuple[ObjectRef, ObjectRef]:
        return self.later.next(taken), self.later.promises[0]

    def finish(self) -> ObjectRef:
        return self.later.promises[0]

    def cancel(self, force: bool) -> None:
        if force and self.later.call.of_actor and not self.later.done:
            raise force_error()
        self.later.cancel()
        self.later._open_credit()

    def __del__(self) -> None:
        if not self.later.done:
            self.later.abandon()


def _is_cancellation(error: BaseException) -> bool:
    import asyncio

    return isinstance(error, asyncio.CancelledError)

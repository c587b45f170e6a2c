"""A generator in inline mode that runs at once: until it is as far ahead as it may be, and on when
items are taken.

Thread safety: as that of the ObjectRefGenerator that it belongs to.
"""

from __future__ import annotations

import struct
from collections import deque

from .. import _hot
from .._cancel import force_error
from ._inline_call import PASSED_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._hot import ObjectRef
    from ._inline_call import Arguments, Call

AHEAD = 10_000  # items of a generator without a limit of its own
_CANCELLED, _END_OF_STREAM = 6, 8  # node::SystemErrorKind


class Source:
    """What makes the references of an ObjectRefGenerator (`_hot_stream.pxi`)."""

    def __init__(self, call: Call, arguments: Arguments, callee: Any) -> None:
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
        item = self._ready.popleft() if self._ready else end_of_stream()
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
        self._end(_hot.put_system_error(cancelled_error(self._call, "was running")))

    def _advance(self, taken: int) -> None:
        while self._outcome is None and self._made - taken < (self._call.limit or AHEAD):
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
            self._ready.append(_hot.put_item(item, name))
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


def cancelled_error(call: Call, state: str) -> bytes:
    """The core's error for a call that was cancelled while it was in this state."""
    text = f"{call.number:016x}It is a call of {call.function_name!r} that {state}."
    return struct.pack("<II", _CANCELLED, 0) + text.encode("utf-8", "replace")


def end_of_stream(into: ObjectRef | None = None) -> ObjectRef:
    """The mark after the last item."""
    return _hot.put_system_error(struct.pack("<II", _END_OF_STREAM, 0), into)

"""The future of a call of an Executor: costs little until somebody waits for it by other means.

`result` waits in the runtime and settles the future itself. Everything else that can be done with
a `concurrent.futures.Future` (`wait`, `as_completed`, callbacks, `cancel`) goes by its
`_condition`: that is made when it is first asked for, and from then on the crew settles the future
as soon as the call has ended.

Thread safety: as Future's; the crew's lock decides whether there is a condition.
Invariants: without a condition nobody waits, so the state may be set without waking anybody;
`_crew` is there until it is settled.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from threading import Condition

from ._crew import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._crew import Crew

_ENDED = (FINISHED, CANCELLED, CANCELLED_AND_NOTIFIED)


class CrewFuture(Call, Future):
    """A `concurrent.futures.Future` that is a call of a crew."""

    def __init__(
        self,
        crew: Crew,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        # Not Future's own, which would make the condition.
        self._made_condition: Condition | None = None
        self._state = PENDING
        self._result = None
        self._exception = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []
        self._crew: Crew | None = crew
        self.function = function
        self.args = args
        self.kwargs = kwargs

    @property
    def _condition(self) -> Condition:
        condition = self._made_condition
        return self._make_condition() if condition is None else condition

    def _make_condition(self) -> Condition:
        crew = self._crew
        if crew is None:  # it is settled
            self._made_condition = condition = Condition()
            return condition
        crew.poll(self)
        with crew.lock:
            if self._made_condition is None:
                self._made_condition = Condition()
                if self._crew is not None:
                    crew.watch(self)
            return self._made_condition

    def begin(self) -> bool:
        """The call is to start: as `set_running_or_notify_cancel`."""
        crew = self._crew
        if crew is not None:
            with crew.lock:
                if self._made_condition is None:
                    self._state = RUNNING
                    return True
        return self.set_running_or_notify_cancel()

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The call has ended."""
        crew = self._crew
        if crew is None:
            return
        self.function, self.args, self.kwargs = None, (), {}
        with crew.lock:
            self._crew = None
            waited_for = self._made_condition is not None
            if not waited_for:
                self._result, self._exception, self._state = value, error, FINISHED
        if waited_for:
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        """The value of the call, or its exception raised; see `concurrent.futures.Future`."""
        try:
            if self._state != FINISHED:
                self._wait(timeout)
            if self._state == FINISHED and self._exception is None:
                return self._result
            return super().result(0)
        finally:
            del self  # an exception's traceback would keep it

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception of the call, or None."""
        if self._state != FINISHED:
            self._wait(timeout)
        return super().exception(0)

    def done(self) -> bool:
        """Whether it was cancelled or has ended."""
        if self._state not in _ENDED and (crew := self._crew) is not None:
            crew.poll(self)
        return self._state in _ENDED

    def _wait(self, timeout: float | None) -> None:
        """Waits for the end, as long as `timeout` allows; raises nothing."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._state not in _ENDED and (crew := self._crew) is not None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            crew.wait_for(self, left)
            if left == 0:
                return

"""A queue of calls and the workers that run them: what Executor and util.multiprocessing share.

It is not the workers (`_crew_workers.py`: tasks, or actors of the crew's own) and not what becomes
of a result (`Call.settle`). Only public API: it runs on every engine.

How: at most a *window* of calls is in flight; the rest waits here, where it can be cancelled.
As long as calls take long, the window is what runs at a time and one more, and the runtime tells
of each that is ready. When they prove to be short, the window grows to what takes some 10 ms, the
runtime tells of one in some tens only, and that one looks for all others that are ready. Who waits
for a call (`wait_for`) waits in the runtime for it, takes its result itself and starts the next.

Thread safety: every method may be called from any thread. `lock` guards all fields of the crew and
the marks of calls; it is not held while something is started, fetched or settled.
Invariants: a call is in `_queue`, in `_flying`, or settled; who sets `claimed` settles it; of a
full window several times more calls are watched than can run at a time, so no worker waits for a
look.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Condition, RLock

from . import _futures
from ._hot import get, wait
from .exceptions import RayError, RayTaskError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._crew_workers import ActorWorkers, TaskWorkers
    from ._hot import ObjectRef

_MOST_IN_FLIGHT = 4096
_AHEAD_SECONDS = 0.01  # how much work the window is to hold
_PACE_CALLS = 32  # settled calls whose mean time sets the window
_SUBMITS_A_LOOK = 16  # of those that find the window full
_SLICE_SECONDS = 0.1  # how long a wait may miss what other threads do, such as cancelling


class Call:
    """One call of a crew. A subclass says what becomes of it."""

    ref: ObjectRef | None = None
    worker: Any = None  # which of the workers runs it, where that matters
    watched: bool = False  # the runtime tells, or is to tell, when it is ready
    claimed: bool = False  # a thread is settling it

    function: Any  # what to call, or a RemoteFunction of it
    args: tuple
    kwargs: dict

    def begin(self) -> bool:
        """It is about to start; False if it was cancelled."""
        return True

    def settle(self, value: Any, error: BaseException | None) -> None:
        """It has ended."""
        raise NotImplementedError


class RemoteTraceback(Exception):
    """The cause of an exception that came from a worker: the traceback there, as text."""

    def __init__(self, text: str) -> None:
        self.tb = text

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


class Crew:
    """Runs calls on `workers`, and hands on what comes of each.

    Args:
        workers: who starts calls.
        eager: as many calls as the largest window holds are in flight from the beginning. For
            calls that are never cancelled one by one.
    """

    def __init__(self, workers: TaskWorkers | ActorWorkers, eager: bool = False) -> None:
        self.lock = RLock()
        self._workers = workers
        self._closing = False
        self._queue: deque[Call] = deque()
        self._flying: dict[Call, None] = {}
        self._idle = Condition(self.lock)
        self._sleepers = 0
        self._adapts = workers.window_grows and not eager
        self._set_window(_MOST_IN_FLIGHT if workers.window_grows and eager else workers.at_least)
        self._started = 0
        self._settled = 0
        self._pace_began = time.monotonic()

    def export(self, function: Any) -> Any:
        """What to give many calls in place of a function, so that it is sent once."""
        return self._workers.export(function)

    def submit(self, call: Call) -> None:
        """Starts a call now, or when its turn comes. Raises nothing of the call's own."""
        with self.lock:
            waits = len(self._flying) >= self._window
            if waits:
                self._queue.append(call)
                look = len(self._queue) % _SUBMITS_A_LOOK == 0
            else:
                watched = self._take_off(call)
        if not waits:
            if not self._start(call, watched):
                self._refill()
        elif look:  # or the thread that submits would keep those from it that make room
            self._sweep()

    def watch(self, call: Call) -> None:
        """From now on `call` is settled as soon as it has ended, whoever waits for it or not."""
        with self.lock:
            self._watch(call)

    def wait_for(self, call: Call, seconds: float | None) -> None:
        """Waits a while for a call, or for what stands before it. May return before it has ended.

        It returns within a tenth of a second, so that the caller looks for what others did.
        """
        ref = call.ref
        if ref is None or call.claimed:
            self.wait_for_some(seconds)
        elif _wait([ref], 1, _slice(seconds)):
            self._settle(call)

    def wait_for_some(self, seconds: float | None) -> None:
        """Waits a while for any call in flight and settles what has ended. As `wait_for`."""
        refs = self._refs()
        if refs:
            _wait(refs, 1, _slice(seconds))
            self._sweep()
        else:  # other threads are about it
            with self.lock:
                self._sleep(_slice(seconds))

    def poll(self, call: Call) -> None:
        """Settles `call` if it has ended."""
        ref = call.ref
        if ref is not None and not call.claimed and _wait([ref], 1, 0):
            self._settle(call)

    def drain(self, seconds: float | None = None) -> bool:
        """Waits until nothing is queued or in flight; False when time ran out."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            with self.lock:
                if not self._queue and not self._flying:
                    return True
            left = _SLICE_SECONDS
            if deadline is not None:
                left = min(left, deadline - time.monotonic())
                if left <= 0:
                    return False
            refs = self._refs()
            if refs:
                _wait(refs, len(refs), left)
                self._sweep()
            else:
                with self.lock:
                    if self._flying:
                        self._sleep(left)

    def take_queue(self) -> list[Call]:
        """Takes out all calls that wait."""
        with self.lock:
            calls = list(self._queue)
            self._queue.clear()
            return calls

    def abandon(self, error: BaseException) -> None:
        """Stops all workers; what was queued or in flight is settled with `error`."""
        with self.lock:
            calls = [call for call in self._flying if not call.claimed]
            for call in calls:
                call.claimed = True
            queued = self.take_queue()
            calls += [call for call in queued if call.begin()]
        self._workers.kill([call.ref for call in calls if call.ref is not None])
        for call in calls:
            self._finish(call, None, error)
        self._refill()

    def close(self) -> None:
        """Lets go of the workers as soon as nothing is queued or in flight."""
        with self.lock:
            self._closing = True
            idle = not self._queue and not self._flying
        if idle:
            self._workers.close()

    def worker_died(self, error: BaseException) -> BaseException:
        """A worker died under a call; returns the error that the call is settled with."""
        return error

    def _sleep(self, seconds: float) -> None:
        """Until a call was settled by another thread. Needs the lock."""
        self._sleepers += 1
        self._idle.wait(seconds)
        self._sleepers -= 1

    def _refs(self) -> list[ObjectRef]:
        with self.lock:
            return [c.ref for c in self._flying if c.ref is not None and not c.claimed]

    def _take_off(self, call: Call) -> bool:
        """Books that `call` starts; whether it is to be watched. Needs the lock."""
        self._flying[call] = None
        self._started += 1
        return self._started % self._watch_every == 0

    def _start(self, call: Call, watched: bool) -> bool:
        """Starts a call that was taken off; False if nothing of it is in flight afterwards."""
        if not call.begin():
            with self.lock:
                self._flying.pop(call)
                self._idle.notify_all()
            return False
        try:
            ref = self._workers.start(call)
        except BaseException as error:
            call.claimed = True
            self._finish(call, None, error)
            if not isinstance(error, Exception):
                raise
            return False
        # Whoever sets `watched` meanwhile looks for `ref` afterwards, so one of both sees it.
        call.ref = ref
        if watched or call.watched:
            call.watched = True
            _futures.when_ready(ref, lambda: self._on_ready(call))
        return True

    def _watch(self, call: Call) -> None:
        if call.watched:
            return
        call.watched = True
        ref = call.ref
        if ref is not None:
            _futures.when_ready(ref, lambda: self._on_ready(call))

    def _on_ready(self, call: Call) -> None:
        self._settle(call)
        if self._watch_every > 1:
            self._sweep()

    def _sweep(self) -> None:
        """Settles all that is ready."""
        with self.lock:
            calls = {c.ref: c for c in self._flying if c.ref is not None and not c.claimed}
        if calls:
            for ref in _wait(list(calls), len(calls), 0):
                self._settle(calls[ref])

    def _settle(self, call: Call) -> None:
        with self.lock:
            if call.claimed or call not in self._flying:
                return
            call.claimed = True
        value = error = None
        try:
            value = get(call.ref)
        except RayTaskError as failure:
            error = _cause_of(failure)
        except RayError as failure:
            error = failure
            if self._workers.has_died(failure, call):
                error = self.worker_died(failure)
        except Exception as failure:  # the value cannot be decoded here
            error = failure
        except BaseException:  # Ctrl-C in the thread that waits is none of the call's
            call.claimed = False
            raise
        self._finish(call, value, error)
        self._refill()

    def _finish(self, call: Call, value: Any, error: BaseException | None) -> None:
        """Settles a claimed call. Starts nothing: many calls that cannot be sent would nest."""
        self._workers.ended(call)
        try:
            call.settle(value, error)
        finally:
            call.ref = call.worker = None
            with self.lock:
                self._flying.pop(call, None)
                self._settled += 1
                if self._settled >= _PACE_CALLS and self._adapts:
                    self._follow_pace()
                if self._sleepers:
                    self._idle.notify_all()
                last = self._closing and not self._queue and not self._flying
            if last:
                self._workers.close()

    def _refill(self) -> None:
        while self._queue:
            with self.lock:
                if not self._queue or len(self._flying) >= self._window:
                    return
                call = self._queue.popleft()
                watched = self._take_off(call)
            self._start(call, watched)

    def _follow_pace(self) -> None:
        """Sets the window by the pace of the last calls. Needs the lock."""
        now = time.monotonic()
        pace = (now - self._pace_began) / self._settled
        self._settled, self._pace_began = 0, now
        least = self._workers.at_least
        ahead = int(_AHEAD_SECONDS / max(pace, 1e-6))
        before = self._watch_every
        self._set_window(max(least, min(ahead, _MOST_IN_FLIGHT)))
        if before > self._watch_every == 1:
            for call in self._flying:
                self._watch(call)

    def _set_window(self, window: int) -> None:
        self._window = window
        self._watch_every = max(1, window // (8 * self._workers.at_least))


def _slice(seconds: float | None) -> float:
    return _SLICE_SECONDS if seconds is None else max(0.0, min(seconds, _SLICE_SECONDS))


def _wait(refs: list[ObjectRef], count: int, seconds: float) -> list[ObjectRef]:
    """Those that are ready; all of them if the runtime was shut down, so that `get` says it."""
    try:
        return wait(refs, num_returns=count, timeout=seconds)[0]
    except (RayError, RuntimeError):
        return refs


def _cause_of(failure: RayTaskError) -> BaseException:
    """The user's exception itself, with the traceback in the worker as its cause."""
    cause = failure.cause
    if cause is None:
        return failure
    cause.__cause__ = RemoteTraceback(failure.traceback_str)
    return cause

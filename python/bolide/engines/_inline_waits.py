"""Waits of inline mode that nothing can end any more are told, and do not hang.

A call runs to its end before `.remote()` returns. One that waits for an event which a later call
would bring therefore waits for ever, and with it the program. When a thread has waited for a while,
it looks at all threads of the process: if each waits, and for nothing that comes by itself (a time,
a socket), the wait raises. Where this cannot be known, as with a thread that sleeps, it goes on.

Thread safety: any thread.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from .._actor_worker import current_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from .inline import InlineEngine

_WAIT = threading.Condition.wait.__code__


class Wait:
    """One wait without a limit, for as long as it lasts (`wait_entries` in _hot_get.pxi)."""

    def __init__(self, engine: InlineEngine) -> None:
        self._engine = engine
        self._call = current_call.get()
        self._seen: object = None
        self.thread = threading.get_ident()
        engine.waits.append(self)

    def end(self) -> None:
        self._engine.waits.remove(self)

    def check(self) -> None:
        """Called now and then. Raises RuntimeError if nothing has moved since the last time and
        nothing can."""
        if self._engine.waits[-1] is not self:
            return  # what that one waits for is nearer to the cause
        seen = self._all_wait()
        if seen is None or seen != self._seen:
            self._seen = seen
            return
        who = "The driver" if self._call is None else f"{self._call.about[2]!r}"
        raise RuntimeError(
            f"{who} waits for what nothing can bring any more: all threads of this process wait, "
            "too. With local_mode=True a call runs to its end before .remote() returns, so it "
            "cannot wait for a call that is made later. Make that call first, pass its result as "
            "an argument, or run without local_mode."
        )

    def _all_wait(self) -> object:
        """Where the threads wait, to be compared with the next time; None if one does not."""
        waiting = {wait.thread for wait in self._engine.waits}
        loops = self._engine.loops()
        seen: list[Any] = [self._engine.moves]
        for thread, frame in sys._current_frames().items():
            if thread not in waiting and not _waits(frame, loops.get(thread)):
                return None
            seen.append((thread, frame.f_code, frame.f_lasti))
        return seen


def _waits(frame: FrameType, loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether this thread waits until another one wakes it."""
    if loop is not None:
        return _is_quiet(loop) and frame.f_code is _select_of(loop)
    if frame.f_code is _WAIT:
        return frame.f_locals["timeout"] is None
    module = frame.f_globals.get("__name__", "")
    # Of ours, and of an executor: a thread that has nothing to do.
    return module.startswith("bolide.") or module == "concurrent.futures.thread"


def _is_quiet(loop: Any) -> bool:
    """Whether no callback, no time and no descriptor but those that threads write to is left."""
    if loop._ready or any(not handle.cancelled() for handle in loop._scheduled):
        return False
    return all(_is_ours(key.data[0], loop) for key in loop._selector.get_map().values())


def _is_ours(reader: Any, loop: Any) -> bool:
    """Whether this is the handle of what wakes the loop from other threads, or of promises."""
    if reader is None:
        return False
    owner = getattr(reader._callback, "__self__", None)
    return owner is loop or type(owner).__module__.startswith("bolide.")


def _select_of(loop: Any) -> CodeType:
    return type(loop._selector).select.__code__

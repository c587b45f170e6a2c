"""Where the calls of actors wait and run in inline mode.

An actor that runs one call at a time does so in the thread that calls it, in turn (Turn); what
comes from elsewhere meanwhile is run by that thread afterwards. One that runs several has threads,
or for coroutines an event loop a concurrency group, as in a worker (Lanes). Calls that have not
begun are in its Mailbox.

Thread safety: any thread, each class with a lock of its own.
"""

from __future__ import annotations

import asyncio
import threading

from .._actor_async import Group
from .._actor_worker import ThreadRunner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._inline_later import Later

_PATIENCE = 1.0  # seconds for code that is to end; a thread that is blocked stays behind


class Mailbox:
    """Calls that have not begun, in the order in which they were made."""

    def __init__(self, in_order: bool) -> None:
        self._in_order = in_order
        self._lock = threading.Lock()
        self._calls: list[Later] = []

    def add(self, later: Later) -> None:
        with self._lock:
            self._calls.append(later)

    def count(self, caller: int) -> int:
        """How many are of this caller."""
        with self._lock:
            return sum(each.caller == caller for each in self._calls)

    def take(self, has_room: Callable[[Later], bool], only_look: bool = False) -> Later | None:
        """The first that may begin: a missing argument holds back what its caller called later."""
        held: set[int] = set()
        with self._lock:
            self._calls = [each for each in self._calls if not each.done]  # cancelled
            for i, each in enumerate(self._calls):
                if each.missing:
                    if self._in_order:
                        held.add(each.caller)
                elif each.caller not in held and has_room(each):
                    return each if only_look else self._calls.pop(i)
        return None

    def clear(self) -> list[Later]:
        """Takes all."""
        with self._lock:
            taken, self._calls = self._calls, []
            return taken


class Turn:
    """One call at a time; the code that has the turn may take it again. A context manager.

    `after`: called when it was given back by its last holder.
    """

    def __init__(self, after: Callable[[], None]) -> None:
        self._after = after
        self._lock = threading.RLock()
        self._depth = 0

    @property
    def nested(self) -> bool:
        """Asked by its holder: whether it had the turn already when it took it."""
        return self._depth > 1

    def try_take(self) -> bool:
        """False: another thread has it."""
        if not self._lock.acquire(blocking=False):
            return False
        self._depth += 1
        return True

    def give_back(self) -> None:
        self._depth -= 1
        last = self._depth == 0
        self._lock.release()
        if last:
            self._after()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self.give_back()


class LoopThread:
    """An event loop in a thread of its own.

    Args:
        name: of the thread.
        first: called in it before the loop runs; what it raises is raised here.
    """

    def __init__(self, name: str, first: Callable[[], None] | None = None) -> None:
        self.group = Group(asyncio.new_event_loop())
        self._error: BaseException | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(first,), name=name, daemon=True)
        self._thread.start()
        self._begun.wait()
        if self._error is not None:
            raise self._error

    @property
    def ident(self) -> int:
        """Of the thread, as threading.get_ident() gives it."""
        ident = self._thread.ident
        assert ident is not None  # it has begun
        return ident

    def stop(self) -> None:
        """Cancels what runs and ends the thread."""
        try:
            self.group.loop.call_soon_threadsafe(self.group.loop.stop)
        except RuntimeError:
            return  # it has ended
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _run(self, first: Callable[[], None] | None) -> None:
        loop = self.group.loop
        asyncio.set_event_loop(loop)
        try:
            if first is not None:
                first()
        except BaseException as error:
            self._error = error
            loop.close()
            return
        finally:
            self._begun.set()
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


class Lanes:
    """Runs calls beside each other, in each concurrency group as many as it may.

    Args:
        limits: of the groups.
        loop: the thread of the first group's loop, for an actor of coroutines; else None.
    """

    def __init__(self, limits: list[int], loop: LoopThread | None) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._running: list[set[Later]] = [set() for _ in limits]
        self._loops: dict[int, LoopThread] = {} if loop is None else {0: loop}
        self._threads = ThreadRunner(limits) if loop is None else None

    def has_room(self, later: Later) -> bool:
        return len(self._running[later.group]) < self._limits[later.group]

    def is_full(self) -> bool:
        return all(len(calls) >= most for calls, most in zip(self._running, self._limits))

    def running(self) -> list[Later]:
        """The calls that have begun and not ended."""
        with self._lock:
            return [later for calls in self._running for later in calls]

    def loops(self) -> dict[int, asyncio.AbstractEventLoop]:
        """The event loops, by the threads that they run in."""
        return {thread.ident: thread.group.loop for thread in list(self._loops.values())}

    def admit(self, later: Later) -> bool:
        """Counts it among those that run, if there is room."""
        with self._lock:
            if not self.has_room(later):
                return False
            self._running[later.group].add(later)
            return True

    def start(self, later: Later) -> None:
        """Begins a call that was admitted."""
        later.began = True
        if self._threads is not None:
            self._threads.start(later)
            return
        thread = self._loops.get(later.group)
        if thread is None:
            thread = self._loops[later.group] = LoopThread(f"bolide-loop-{later.group}")
        group = thread.group
        later.restart = lambda: group.loop.call_soon(group.begin, later)
        group.loop.call_soon_threadsafe(group.begin, later)

    def cancel(self, later: Later) -> None:
        """Cancels a coroutine that runs."""
        thread = self._loops.get(later.group)
        if thread is not None:
            thread.group.loop.call_soon_threadsafe(thread.group.cancel, later.sequence)

    def ended(self, later: Later) -> None:
        with self._lock:
            self._running[later.group].discard(later)

    def stop(self) -> None:
        """Nothing is begun any more; what runs is cancelled, threads end with their calls."""
        if self._threads is not None:
            self._threads.finish(_PATIENCE)
        for thread in list(self._loops.values()):
            thread.stop()

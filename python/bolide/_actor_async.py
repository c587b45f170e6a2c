"""The event loop of an async actor: calls are coroutines on the worker's main thread.

The loop's selector takes calls and results between two turns, so there is no thread between the
node and a coroutine (cpp/node/worker_event_loop.cpp). A concurrency group has a loop and a thread
of its own, so that one group that blocks does not stop another; its calls pass through the main
loop.
Follows Ray's pages "AsyncIO / Concurrency for Actors" and "Concurrency groups".

Thread safety: a LoopRunner belongs to the main thread but for `stop`, `cancel` and what runs in the
loops of groups.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
import sys
from types import AsyncGeneratorType, CoroutineType

from . import _hot
from ._actor_worker import current_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_DRIVEN = CoroutineType, AsyncGeneratorType


class _Selector(selectors.EpollSelector):
    """Sleeps on descriptors and on what the node sends."""

    feed: _hot.LoopFeed | None = None

    def select(self, timeout: float | None = None) -> Any:
        feed = self.feed
        return super().select(timeout) if feed is None else feed.select(timeout)


class Group:
    """The loop of a concurrency group and the calls that run in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.calls: set[_hot.ActorCall] = set()
        self.idle: asyncio.Event | None = None  # set when the last call has ended, at the end
        self._make_task = _task_maker(loop)

    def begin(self, call: _hot.ActorCall) -> None:
        """In the loop's thread: begins a call; one that is no coroutine is run here and now."""
        if call.is_async or call.streams:
            self.calls.add(call)
            call.task = self._make_task(self._drive(call, None))
            return
        token = current_call.set(call)
        try:
            result = call.begin()
        except BaseException as error:
            call.fail(error)
        else:
            if type(result) in _DRIVEN:  # of a decorated ``async def``
                self.calls.add(call)
                call.task = self._make_task(self._drive(call, result))
            else:
                call.succeed(result)
        finally:
            current_call.reset(token)

    async def _drive(self, call: _hot.ActorCall, coroutine: Any) -> None:
        current_call.set(call)
        try:
            result = call.begin() if coroutine is None else coroutine
            if call.streams:
                result = await _send_items(call, result)
            elif type(result) is AsyncGeneratorType:
                result = [item async for item in result]  # it has a number of returns
            else:
                result = await result
        except BaseException as error:
            self.calls.discard(call)
            call.fail(error)
        else:
            self.calls.discard(call)
            call.succeed(result)
        if self.idle is not None and not self.calls:
            self.idle.set()

    async def finish(self) -> None:
        """Returns when every call has ended."""
        if self.calls:
            self.idle = asyncio.Event()
            await self.idle.wait()

    def cancel(self, sequence: int) -> None:
        for call in self.calls:
            if call.sequence == sequence:
                if inspect.getcoroutinestate(call.task.get_coro()) == inspect.CORO_CREATED:
                    # asyncio would never begin it, and nobody would tell how the call has ended.
                    self.loop.call_soon(self.cancel, sequence)
                else:
                    call.task.cancel()
                return


def _task_maker(loop: asyncio.AbstractEventLoop) -> Any:
    """How coroutines become tasks: where it can be, they begin at once and may end without one."""
    if sys.version_info >= (3, 12):
        return functools.partial(asyncio.Task, loop=loop, eager_start=True)
    return loop.create_task


async def _send_items(call: _hot.ActorCall, items: Any) -> None:
    """Sends what a generator yields, item by item; while its consumer is behind, others run."""
    from ._futures import await_credit

    is_async = hasattr(items, "__anext__")
    items = items if is_async else iter(items)
    try:
        while True:
            if not call.may_yield():
                await await_credit(call)
            try:
                item = await items.__anext__() if is_async else next(items)
            except (StopIteration, StopAsyncIteration):
                break
            call.send(item)
            item = None
    finally:
        if is_async:
            await items.aclose()
    call.end_items()


class LoopRunner:
    """Runs the calls of an async actor."""

    def __init__(self, limits: list[int]) -> None:
        self._selector = _Selector()
        self._main = Group(asyncio.SelectorEventLoop(self._selector))
        self._groups: list[Group | None] = [self._main, *(None for _ in limits[1:])]
        asyncio.set_event_loop(self._main.loop)  # for the constructor

    def run(self, session: Any) -> int:
        """On the main thread: takes calls until the actor is to end; its exit status."""
        loop = self._main.loop
        selector = self._selector
        start = self._main.begin if len(self._groups) == 1 else self.start
        feed = _hot.LoopFeed(session, start, loop.stop, super(_Selector, selector).select)
        selector.feed = feed
        for fd in feed.fds:
            loop.add_reader(fd, feed.clear)
        loop.run_forever()
        # What had begun before is run to its end; the node limits the time.
        for group in self._groups:
            if group is self._main:
                loop.run_until_complete(group.finish())
            elif group is not None:
                asyncio.run_coroutine_threadsafe(group.finish(), group.loop).result()
        return _hot.exit_status()

    def start(self, call: _hot.ActorCall) -> None:
        """Begins a call in the loop of its group."""
        index = call.group
        if index == 0:
            self._main.begin(call)
            return
        group = self._groups[index]
        if group is None:
            group = self._groups[index] = _start_group(index)
        group.loop.call_soon_threadsafe(group.begin, call)

    def cancel(self, sequence: int) -> None:
        """Cancels a coroutine, if the call with that sequence is one. From a signal's handler."""
        for group in self._groups:
            if group is not None:
                group.loop.call_soon_threadsafe(group.cancel, sequence)

    def stop(self) -> None:
        """A call has ended the actor: nothing more is taken."""
        _hot.end_feeding()
        self._main.loop.call_soon_threadsafe(self._main.loop.stop)


def _start_group(index: int) -> Group:
    import threading

    group = Group(asyncio.new_event_loop())

    def run() -> None:
        asyncio.set_event_loop(group.loop)
        group.loop.run_forever()

    threading.Thread(target=run, name=f"bolide-loop-{index}", daemon=True).start()
    return group

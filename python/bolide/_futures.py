"""ObjectRefs as futures: concurrent.futures, asyncio and `await`.

In the driver and in async actors nothing waits: the core tells the service thread, or, by one event
descriptor an event loop, the loop itself. In other workers a thread waits for each.

Thread safety: functions may be called from any thread that the future's rules allow.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from concurrent.futures import Future

from . import _hot, _runtime
from .exceptions import RaySystemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def future_of(ref: _hot.ObjectRef) -> Future:
    """A concurrent.futures.Future that gets the value or error of `ref`."""
    future: Future = Future()
    future.set_running_or_notify_cancel()
    when_ready(ref, lambda: _settle(future, ref))
    return future


def when_ready(ref: _hot.ObjectRef, callback: Callable[[], object]) -> None:
    """Calls `callback` once `ref` is ready, or once the runtime stops: `get` tells them apart.

    It runs in the service thread, which it must not hold up, or in a worker in a thread of its own.
    """
    service = _runtime._service
    if service is None:
        _in_thread(lambda: _wait_and_call(ref, callback))
    else:
        _hot.watch_service(ref, service.add_callback(callback))


def on_completed(ref: _hot.ObjectRef, callback: Callable[[Any], None]) -> None:
    """Calls back with the value or the exception of `ref`, in another thread if it must be made."""

    def call(future: Future) -> None:
        error = future.exception()
        callback(future.result() if error is None else error)

    future_of(ref).add_done_callback(call)


def asyncio_future_of(ref: _hot.ObjectRef) -> asyncio.Future:
    """An asyncio future of the running loop that gets the value or error of `ref`."""
    loop = asyncio.get_running_loop()
    if _runtime._service is None and not _worker_watches():
        return asyncio.wrap_future(future_of(ref), loop=loop)
    return _watcher_of(loop).future(loop, ref)[1]


def _worker_watches() -> bool:
    """Whether this is the worker of an async actor, whose event loop is told what becomes ready."""
    module = sys.modules.get("bolide._actor_worker")
    actor = None if module is None else module.current_actor()
    return actor is not None and actor.is_async


async def await_ref(ref: _hot.ObjectRef) -> Any:
    """The value of `ref`, as `await ref` gives it."""
    if ref.is_ready():
        return _hot.get(ref)
    loop = asyncio.get_running_loop()
    if _runtime._service is None and not _worker_watches():
        return await asyncio.wrap_future(future_of(ref), loop=loop)
    return await _wait(loop, ref, True)


async def next_item(generator: _hot.ObjectRefGenerator) -> _hot.ObjectRef:
    """The next reference of a stream, as ``async for`` takes it."""
    head = generator._head()
    if not head.is_ready():
        loop = asyncio.get_running_loop()
        if _runtime._service is None and not _worker_watches():
            await loop.run_in_executor(None, lambda: _hot.wait([head]))
        else:
            await _wait(loop, head, False)
    try:
        return generator._next_sync()
    except StopIteration:
        raise StopAsyncIteration from None


async def await_credit(call: _hot.ActorCall) -> None:
    """In an async actor: waits until a generator may make its next item."""
    loop = asyncio.get_running_loop()
    while not call.may_yield():
        await _watcher_of(loop).credit(loop, call)


async def _wait(loop: asyncio.AbstractEventLoop, ref: _hot.ObjectRef, value: bool) -> Any:
    watcher = _watcher_of(loop)
    token, future = watcher.future(loop, ref, value)
    try:
        return await future
    except asyncio.CancelledError:
        watcher.forget(token)
        raise


def _settle(future: Any, ref: _hot.ObjectRef) -> None:
    """Gives a future the value or error of a ready reference."""
    try:
        value = _hot.get(ref)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)


def _wait_and_call(ref: _hot.ObjectRef, callback: Callable[[], object]) -> None:
    try:
        _hot.wait([ref])
    except (RaySystemError, RuntimeError):
        pass  # it stopped, or this is a forked child: who is called back learns that from get()
    callback()


def _in_thread(target: Any) -> None:
    import threading

    threading.Thread(target=target, name="bolide-future", daemon=True).start()


class _LoopWatcher:
    """One event loop's completions: a descriptor that the loop watches, and its futures.

    It has no reference to the loop, so that both go when the loop's last user does.
    """

    def __init__(self) -> None:
        self._completions = _hot.Completions()
        self._futures: dict[int, tuple[asyncio.Future, _hot.ObjectRef | None, bool]] = {}
        self._next_token = 1

    def future(
        self, loop: asyncio.AbstractEventLoop, ref: _hot.ObjectRef, value: bool = True
    ) -> tuple[int, asyncio.Future]:
        """A token, and a future of the loop that gets the value or error of `ref`, or None if not
        `value`."""
        token, future = self._add(loop, ref, value)
        self._completions.watch(ref, token)
        return token, future

    def credit(self, loop: asyncio.AbstractEventLoop, call: _hot.ActorCall) -> asyncio.Future:
        """A future of the loop that is done when a generator may make its next item."""
        token, future = self._add(loop, None, False)
        call.watch_credit(self._completions, token)
        return future

    def _add(
        self, loop: asyncio.AbstractEventLoop, ref: _hot.ObjectRef | None, value: bool
    ) -> tuple[int, asyncio.Future]:
        if not self._futures:
            loop.add_reader(self._completions.fileno(), self._on_ready)
        token = self._next_token
        self._next_token += 1
        future = loop.create_future()
        self._futures[token] = future, ref, value
        return token, future

    def forget(self, token: int) -> None:
        """Lets go of a future that nobody waits for, and with it of the loop."""
        if self._futures.pop(token, None) is not None and not self._futures:
            asyncio.get_running_loop().remove_reader(self._completions.fileno())

    def _on_ready(self) -> None:
        for token in self._completions.take():
            future, ref, value = self._futures.pop(token, (None, None, False))
            if future is None or future.done():
                continue
            if value:
                _settle(future, ref)
            else:
                future.set_result(None)
        if not self._futures:
            asyncio.get_running_loop().remove_reader(self._completions.fileno())


_watchers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _watcher_of(loop: asyncio.AbstractEventLoop) -> _LoopWatcher:
    watcher = _watchers.get(loop)
    if watcher is None:
        watcher = _watchers[loop] = _LoopWatcher()
    return watcher

"""`init(local_mode=True)`: every call runs in this process, in the thread that makes it, at once.

So a debugger, coverage and a profiler see tasks as any other function. What a program can observe
is otherwise as with workers: functions, arguments and results are pickled and read again,
exceptions come out of `get`, a failed argument fails the call, retries count. A call has ended when
`.remote()` returns; a generator runs until it is as far ahead of its consumer as it may be, and on
when items are taken. Where a call cannot run at once it runs later, in another thread of this
process (`_inline_later`).

Thread safety: any thread. Tasks that threads call run beside each other; calls of one actor only
where it says that they may.
"""

from __future__ import annotations

import threading

from .. import _hot
from .._actor_worker import current_call
from . import Engine
from ._inline_actor import Instance
from ._inline_call import Arguments, Call
from ._inline_later import Later, LaterStream, Tap
from ._inline_source import Source
from ._inline_waits import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any

    from .._actor_worker import Actor
    from .._core import Node
    from .._hot import ActorHandle, ActorMethod, ObjectRef, RemoteFunction

_MANY = 1000  # results of actors, before it is asked which of them are gone
_PATIENCE = 1.0  # seconds for threads, when the runtime is shut down


class InlineEngine(Engine):
    """Runs calls where they are made.

    Fields: `waits`, those without a limit that go on; `moves`, how many calls have begun and how
    many promises were kept.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._functions: dict[int, Any] = {}  # by the number of their object
        self._actors: dict[int, Instance] = {}
        self._of_actors: set[int] = set()  # numbers of what calls of actors have returned
        self._most_of_actors = _MANY
        self._lock = threading.Lock()  # of what follows
        self._later: dict[int, Later] = {}  # by the numbers of their promises
        self._dependents: dict[int, list[Later]] = {}  # by those of the arguments that they miss
        self._threads: set[threading.Thread] = set()
        self.waits: list[Wait] = []
        self.moves = 0

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any], callee: Any) -> Arguments:
        return Arguments(args, kwargs, callee)

    def call(self, callee: RemoteFunction | ActorMethod, arguments: Arguments) -> Any:
        self.moves += 1
        self._forget_unreferenced()
        call = Call(self, callee)
        instance = call.instance
        taken = False
        if instance is not None:
            instance.check_pending(self.caller()[1], call.method)
        if arguments.pending():
            return self._call_later(call, arguments, callee)
        if instance is not None and instance.death is None:
            taken = instance.try_begin(self.caller()[1])
            if not taken:
                return self._call_later(call, arguments, callee)
        try:
            if call.streams:
                return _hot.make_source_generator(Source(call, arguments, callee))
            refs = call.run(arguments)
        finally:
            if taken:
                call.turn.give_back()
        return self._returned(call, refs)

    def create_actor(
        self, handle: ActorHandle, cls: ObjectRef, value: bytes, spec: tuple, arguments: Arguments
    ) -> None:
        self._forget_unreferenced()
        for ref in arguments.pending():
            _hot.wait([ref])
        instance = Instance(handle, self.function(cls), value, spec, arguments)
        self._actors[instance.number] = instance
        instance.start()

    def kill(self, actor: int, no_restart: bool) -> None:
        instance = self._actors.get(actor)
        if instance is not None:
            instance.kill(no_restart)

    def cancel(self, ref: ObjectRef, recursive: bool) -> None:
        later = self._later.get(ref._id)
        if later is None:
            return  # it has ended
        with self._lock:
            others = [each for each in self._later.values() if each.parent == later.call.number]
        for each in (later, *others) if recursive else (later,):
            each.cancel()

    def is_actor_call(self, ref: ObjectRef) -> bool:
        return ref._id in self._of_actors

    def running(self) -> tuple[int, str | None, str | None]:
        part = current_call.get()
        return (0, None, None) if part is None else part.about

    def is_cancelled(self) -> bool:
        return current_call.get().cancelled

    def actor(self) -> Actor | None:
        part = current_call.get()
        return None if part is None else part.actor

    def caller(self) -> tuple[int, int]:
        """The numbers of the call that runs here, and of whose calls of actors keep their order."""
        part = current_call.get()
        if part is None:
            return 0, 0
        return part.about[0], part.about[0] if part.actor is None else part.actor.id

    def begin_wait(self) -> Wait:
        return Wait(self)

    def loops(self) -> dict[int, AbstractEventLoop]:
        """The event loops of actors, by the threads that they run in."""
        found = {}
        for instance in list(self._actors.values()):
            found.update(instance.loops())
        return found

    def close(self) -> None:
        while self._actors:
            _, instance = self._actors.popitem()
            instance.close()
        with self._lock:
            left = list(self._later.values())
            threads = list(self._threads)
        for later in left:
            later.cancel()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_PATIENCE)
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

    def settle(self, refs: list[ObjectRef]) -> None:
        """These promises were kept: what waited for them goes on."""
        self.moves += 1
        ready = []
        with self._lock:
            for ref in refs:
                for later in self._dependents.pop(ref._id, ()):
                    later.missing -= 1
                    if later.missing == 0:
                        ready.append(later)
        if ready:
            self._in_thread(ready)

    def ended(self, later: Later) -> None:
        """A call that ran later has ended."""
        with self._lock:
            for ref in later.promises:
                self._later.pop(ref._id, None)
        self.settle(later.promises)
        if later.call.instance is not None:
            later.call.instance.ended(later)

    def _call_later(self, call: Call, arguments: Arguments, callee: Any) -> Any:
        instance = call.instance
        later = (LaterStream if call.streams else Later)(self, call, arguments, callee)
        with self._lock:
            for ref in later.promises:
                self._later[ref._id] = later
            for ref in later.pending():
                self._dependents.setdefault(ref._id, []).append(later)
                later.missing += 1
            waits = later.missing > 0
        made: Any = None
        if isinstance(later, LaterStream):
            made = _hot.make_source_generator(Tap(later))
        refs = list(later.promises)
        if instance is not None:
            instance.add(later)
        elif not waits:  # they have come meanwhile
            self._in_thread([later])
        return self._returned(call, refs) if made is None else made

    def _in_thread(self, ready: list[Later]) -> None:
        """Runs calls whose arguments have come, in the order in which they were made.

        None of them waits for a later one of them, unless by way of an actor.
        """

        def run() -> None:
            try:
                for later in ready:
                    if later.call.instance is not None:
                        later.call.instance.advance()
                    elif not later.done:
                        later.run()
            finally:
                ready.clear()
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="bolide-later", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _returned(self, call: Call, refs: list[ObjectRef]) -> Any:
        """What `.remote()` returns."""
        if call.of_actor:
            self._note_of_actor(refs)
        return refs if call.returns > 1 else refs[0] if refs else None

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
            if self._actors[number].is_busy():
                continue  # by a handle of its own, which does not count
            instance = self._actors.pop(number, None)
            if instance is not None:
                instance.end()
        for number in [n for n in list(self._functions) if not self._node.references(n)]:
            self._functions.pop(number, None)

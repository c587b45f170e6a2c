"""The actors of inline mode: their instances, who runs their calls, and how they end.

Names, handles and when the last of these has gone are the core's, as with workers.
Thread safety: any thread. An actor that runs one call at a time is changed by whoever has its
turn; of others `_state` guards what becomes of it.
"""

from __future__ import annotations

import struct
import threading
from contextlib import nullcontext

from .. import _actor_worker, _hot
from .._actor_methods import DETACHED
from .._ids import ActorID
from ._inline_call import PASSED_ON, Part
from ._inline_lanes import Lanes, LoopThread, Mailbox, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Any

    from ._inline_call import Arguments
    from ._inline_later import Later

_DIED, _UNAVAILABLE, _INIT_FAILED = 16, 17, 19  # node::SystemErrorKind
_IN_ORDER = 1  # cpp/node/actor_spec.h


class Instance:
    """One actor.

    Fields: `number`, of its object; `actor`, what its code is told of itself; `death`, the core's
    error for each call once it is dead, else None; `error_fields`, of RayTaskError; `turn`, which
    who runs its code takes (nobody, where it runs several calls at a time); `beside`, whether it
    does.
    """

    def __init__(
        self,
        handle: _hot.ActorHandle,
        cls: Callable[..., Any],
        value: bytes,
        spec: tuple,
        arguments: Arguments,
    ) -> None:
        self._cls = cls
        self._spec = spec
        self._arguments = arguments
        self._actor_id = handle._actor_id.hex()
        self.number: int = handle._ray_actor.id
        (length,) = struct.unpack_from("<I", value)
        self._restarts, self._most_pending, flags = struct.unpack_from("<iiI", value, 4 + length)
        self._kept = handle if flags & DETACHED else None
        self.actor = _actor_worker.Actor(self.number, 0, spec)
        self.death: bytes | None = None
        self.error_fields: dict[str, str] = {}
        self._mailbox = Mailbox(bool(flags & _IN_ORDER))
        self.beside = self.actor.is_async or len(self.actor.limits) > 1 or self.actor.limits[0] > 1
        self.turn: Any = nullcontext() if self.beside else Turn(self.advance)
        self._lanes: Lanes | None = None
        self._state = threading.RLock()
        self._ends_when_idle = False

    def start(self) -> None:
        """Calls the constructor; if it raises, the actor is dead."""
        if self.actor.is_async:
            # As in a worker: in the thread of its loop, which does not run yet.
            loop = LoopThread(f"bolide-{self.actor.class_name}", self._start)
            self._lanes = Lanes(self.actor.limits, loop)
            if self.death is not None:
                self._lanes.stop()
            return
        if self.beside:
            self._lanes = Lanes(self.actor.limits, None)
        self._start()

    def _start(self) -> None:
        name = self.actor.class_name
        try:
            with self.turn:
                Part((self.number, None, name), self.actor).run(self._construct)
        except PASSED_ON:
            self.actor.graceful = False
            self._die(_DIED, self._sentence("its constructor was interrupted."))
            raise
        except BaseException as error:
            self.ended_by(error, name, in_constructor=True)
        else:
            label = _actor_worker.label_of(self.actor)
            self.error_fields = {"actor_repr": label, "actor_id": self._actor_id}

    def bound_method(self, name: str) -> Callable[..., Any]:
        return _actor_worker.bound_method(self.actor, name)

    def try_begin(self, caller: int) -> bool:
        """Takes the turn for a call of this caller that runs at once.

        False: it is to be added, since it runs beside others, or others come first.
        """
        if self.beside or not self.turn.try_take():
            return False
        if not self.turn.nested and self._mailbox.count(caller):
            self.turn.give_back()
            return False
        return True

    def check_pending(self, caller: int, method: str) -> None:
        """Raises PendingCallsLimitExceeded if as many calls of this caller go on as may."""
        if self._most_pending < 0:
            return
        lanes = self._lanes
        running = [] if lanes is None else lanes.running()
        count = sum(each.caller == caller for each in running) + self._mailbox.count(caller)
        if count >= self._most_pending:
            from ..exceptions import PendingCallsLimitExceeded

            raise PendingCallsLimitExceeded(
                f"The actor {self.actor.class_name!r} has {count} pending calls of this process, "
                f"as many as max_pending_calls allows, so {method!r} was not submitted. Get some "
                "of their results first, or raise the limit."
            )

    def add(self, later: Later) -> None:
        """Takes a call that is to run when it may."""
        death = self.death
        if death is not None:
            later.end_with(death)
            return
        self._mailbox.add(later)
        self.advance()
        death = self.death
        if death is not None:  # meanwhile
            self._fail_waiting(death)

    def advance(self) -> None:
        """Begins the calls that may; where they run one by one, in this thread."""
        if self.beside:
            self._advance_lanes()
            return
        while self._mailbox.take(_always, only_look=True) is not None:
            if not self.turn.try_take():
                return  # who has it comes here afterwards
            later = None if self.turn.nested else self._mailbox.take(_always)
            try:
                if later is None:
                    return
                later.run()
            finally:
                self.turn.give_back()

    def _advance_lanes(self) -> None:
        lanes = self._lanes
        while lanes is not None and self.death is None and not lanes.is_full():
            later = self._mailbox.take(lanes.admit)
            if later is None:
                return
            lanes.start(later)

    def ended(self, later: Later) -> None:
        """A call has ended."""
        lanes = self._lanes
        if lanes is None:
            return
        lanes.ended(later)
        with self._state:
            last = self._ends_when_idle and not lanes.running()
            if last:
                self._ends_when_idle = False
        if last:
            self.end()
        else:
            self.advance()

    def cancel(self, later: Later) -> None:
        """Cancels a coroutine that runs."""
        if self._lanes is not None:
            self._lanes.cancel(later)

    def kill(self, no_restart: bool) -> None:
        """Ends it, or makes it anew."""
        with self._state:
            if self.death is not None:
                return
            if no_restart or self._restarts == 0:
                self.actor.graceful = False
                self._die(_DIED, self._sentence("it was killed by kill()."), killed=True)
            else:
                self._start_again()

    def ended_by(
        self, error: BaseException, name: str, in_constructor: bool = False
    ) -> bytes | None:
        """The core's error for a call whose exception has ended the actor; None if it goes on.

        That is `death`, unless it exited with a status and was made anew, as if a worker had died.
        """
        kind, data, status = _actor_worker.end_of(self.actor, error, in_constructor, name)
        if kind is None:
            return None
        with self._state:
            if self.death is not None:
                return self.death
            if kind == _actor_worker.CONSTRUCTOR:
                self._die(_INIT_FAILED, data)
            elif kind == _actor_worker.INTENDED:
                self._die(_DIED, self._sentence(data.decode("utf-8", "replace") + "."))
            elif in_constructor or self._restarts == 0:
                self._die(_DIED, self._sentence(f"it exited with status {status}."), killed=True)
            else:
                self._start_again()
                return self._unavailable(f"{name!r} exited with status {status}")
            return self.death

    def end(self) -> None:
        """Lets go of the instance."""
        actor = self.actor
        part = Part((self.number, None, "__ray_shutdown__"), actor)
        try:
            part.run(lambda: _actor_worker.shut_down(actor, PASSED_ON))
        finally:
            actor.instance = None
            lanes, self._lanes = self._lanes, None
            if lanes is not None:
                lanes.stop()

    def close(self) -> None:
        """The runtime is shut down."""
        death = self.death
        if death is None:
            death = self.death = self._died(self._sentence("the runtime was shut down."))
        self._fail_waiting(death)
        for later in self._running():
            later.end_with(death)
        self.end()

    def loops(self) -> dict[int, AbstractEventLoop]:
        """Its event loops, by the threads that they run in."""
        lanes = self._lanes
        return {} if lanes is None else lanes.loops()

    def is_busy(self) -> bool:
        """Whether calls of it have begun and not ended."""
        return bool(self._running())

    def _running(self) -> list[Later]:
        lanes = self._lanes
        return [] if lanes is None else lanes.running()

    def _start_again(self) -> None:
        self._restarts -= 1  # of -1, for any number, it never becomes 0
        self.actor.graceful = False
        why = self._unavailable("it was killed by kill()")
        for later in self._running():
            if later.call.may_run_again(later.attempt):
                self._mailbox.add(later.fresh())
            else:
                later.end_with(why)
        self.end()
        self.actor = _actor_worker.Actor(self.number, self.actor.restarts + 1, self._spec)
        self.start()
        self.advance()

    def _construct(self) -> None:
        failed = self._arguments.failed()
        if failed is not None:
            _hot.get(failed)
        args, kwargs = self._arguments.read()
        self.actor.instance = self._cls(*args, **kwargs)

    def _sentence(self, why: str) -> bytes:
        name = self.actor.class_name
        return f"The actor '{name}' (id {self._actor_id}) is dead: {why}".encode("utf-8", "replace")

    def _unavailable(self, why: str) -> bytes:
        text = (
            f"{why}, and its actor is being started again; set max_task_retries if calls may run "
            "more than once"
        )
        return _error(_UNAVAILABLE, self.number, text.encode("utf-8", "replace"))

    def _died(self, text: bytes) -> bytes:
        return _error(_DIED, self.number, text)

    def _die(self, kind: int, text: bytes, killed: bool = False) -> None:
        """Calls that have begun end as they do, unless it was killed."""
        death = self.death = _error(kind, self.number, text)
        self._kept = None
        _hot.free_actor(self.number)
        self._fail_waiting(death)
        with self._state:
            if self._running() and not killed:
                self._ends_when_idle = True
                return
        for later in self._running():
            later.end_with(death)
        self.end()

    def _fail_waiting(self, death: bytes) -> None:
        for later in self._mailbox.clear():
            later.end_with(death)


def _always(later: Later) -> bool:
    return True


def gone(number: int) -> bytes:
    """The core's error for a call of an actor that nothing is left of."""
    actor_id = ActorID.of(_hot.current_session().id, number).hex()
    why = "all handles that count had gone out of scope when it was called."
    return _error(_DIED, number, f"The actor (id {actor_id}) is dead: {why}".encode())


def _error(kind: int, number: int, text: bytes) -> bytes:
    return struct.pack("<IIQ", kind, 0, number) + text

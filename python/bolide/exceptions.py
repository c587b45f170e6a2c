"""Every exception of bolide, with Ray's names and Ray's bases (`ray.exceptions`).

It is a list of classes: who raises them and who writes their sentences is elsewhere. Each
docstring says when the class is raised and what to do. Exceptions that only a cluster can raise
are here so that ``except ray.exceptions.X`` of a program for Ray still works; they say so.

Thread safety: classes only. Invariants: each can be pickled, also by plain pickle; each accepts the
arguments that Ray documents; a message given as the only argument is what `str` returns.
"""

from __future__ import annotations

from ._object_errors import (
    ObjectFetchTimedOutError,
    ObjectFreedError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    ObjectReconstructionFailedLineageEvictedError,
    ObjectReconstructionFailedMaxAttemptsExceededError,
    ObjectStoreFullError,
    OutOfDiskError,
    OwnerDiedError,
    PlasmaObjectNotAvailable,
    ReferenceCountingAssertionError,
)
from ._task_error import RayError, RayTaskError


class _MessageError(RayError):
    """A RayError that keeps its text in the attribute `message` too, as Ray's do."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class UserCodeException(RayError):
    """User code run by a library on top failed. Read `__cause__` for what it raised."""


class TaskCancelledError(RayError):
    """The task was cancelled by `cancel`. Raised by `get`; expect it where you cancel."""

    def __init__(self, task_id: object = None, error_message: str | None = None) -> None:
        self.task_id = task_id
        self.error_message = error_message

    def __str__(self) -> str:
        task = "This task or one that it needs" if self.task_id is None else f"Task {self.task_id}"
        return f"{task} was cancelled. {self.error_message or ''}".rstrip()


class WorkerCrashedError(RayError):
    """The worker process died while it ran the task, and no retry was left.

    The message names the task, the signal or exit code and the attempts. Look at the worker's
    output for the reason; raise `max_retries` if the task may be run again.
    """

    _default_message = "The worker died unexpectedly while it ran this task."


class TaskUnschedulableError(RayError):
    """The task can never run: it asks for what no node has. Ask for less, or add it."""

    _subject = "task"

    def __init__(self, error_message: str = "") -> None:
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The {self._subject} cannot be scheduled: {self.error_message}"


class ActorUnschedulableError(RayError):
    """The actor can never start: it asks for what no node has. Ask for less, or add it."""

    _subject = "actor"
    __init__ = TaskUnschedulableError.__init__
    __str__ = TaskUnschedulableError.__str__


class TaskPlacementGroupRemoved(RayError):
    """The placement group of the task was removed before it ran. Keep the group until `get`."""

    _default_message = "The placement group of this task was removed."


class ActorPlacementGroupRemoved(RayError):
    """The placement group of the actor was removed. Keep the group as long as the actor."""

    _default_message = "The placement group of this actor was removed."


class RayActorError(RayError):
    """An actor did not finish a call. Catch the subclasses to tell dead from unreachable."""

    BASE_ERROR_MSG = "The actor experienced an error before finishing this task."

    def __init__(
        self,
        actor_id: str | None = None,
        error_msg: str = BASE_ERROR_MSG,
        actor_init_failed: bool = False,
        preempted: bool = False,
    ) -> None:
        self.actor_id = actor_id
        self.error_msg = error_msg
        self._actor_init_failed = actor_init_failed
        self._preempted = preempted

    @property
    def actor_init_failed(self) -> bool:
        """Whether the constructor raised."""
        return self._actor_init_failed

    @property
    def preempted(self) -> bool:
        """Whether the actor's node was taken away (never on one machine)."""
        return self._preempted

    def __str__(self) -> str:
        return self.error_msg


class ActorDiedError(RayActorError):
    """The actor is dead, or died during the call; later calls raise the same.

    Args:
        cause: the RayTaskError of its constructor, or a message; None if the cause is unknown.
        actor_id: id of the actor, as hex digits.

    Make the actor anew, or set `max_restarts`.
    """

    BASE_ERROR_MSG = "The actor died unexpectedly before finishing this task."

    def __init__(
        self, cause: RayTaskError | str | None = None, actor_id: str | None = None
    ) -> None:
        message = self.BASE_ERROR_MSG if cause is None else str(cause)
        if isinstance(cause, RayTaskError):
            actor_id = actor_id or cause.actor_id
            message = f"The actor died because its constructor raised an error: {message}"
        super().__init__(actor_id, message, isinstance(cause, RayTaskError))

    @staticmethod
    def from_task_error(task_error: RayTaskError) -> ActorDiedError:
        """The error of an actor whose constructor failed with `task_error`."""
        return ActorDiedError(task_error)


class ActorUnavailableError(RayActorError):
    """The actor cannot be reached now and may come back. The call may have run: try again."""

    def __init__(self, error_message: str, actor_id: str | bytes | None = None) -> None:
        if isinstance(actor_id, bytes):
            actor_id = actor_id.hex()
        super().__init__(
            actor_id,
            f"The actor {actor_id} is unavailable: {error_message}. "
            "The call may or may not have been executed on the actor.",
        )


class ActorAlreadyExistsError(ValueError, RayError):
    """An actor of that name lives already. Use `get_if_exists`, `get_actor` or another name."""


class ActorHandleNotFoundError(ValueError, RayError):
    """`kill` or `cancel` got a handle of another session's actor. Get one of this session."""


class AsyncioActorExit(RayError):
    """Raised inside an async actor by `exit_actor`. Let it pass."""


class PendingCallsLimitExceeded(RayError):
    """More calls wait on the actor than `max_pending_calls`. Wait for some, or raise the limit."""


class GetTimeoutError(RayError, TimeoutError):
    """`get` with a timeout ran out. The task goes on: `get` again, or `cancel` it."""


class OutOfMemoryError(_MessageError):
    """The machine, or the task's own limit, ran out of memory. Run fewer tasks at once."""


class NodeDiedError(_MessageError):
    """The node ended or cannot be reached. Start it again and attach anew."""


class RaySystemError(RayError):
    """The runtime itself failed: a limit of the system, or corrupt data. The message says which."""

    def __init__(self, client_exc: object = "", traceback_str: str | None = None) -> None:
        super().__init__(client_exc)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    def __str__(self) -> str:
        more = f"\ntraceback: {self.traceback_str}" if self.traceback_str else ""
        return f"System error: {self.client_exc}{more}"


class LocalRayletDiedError(RayError):
    """The node of the task ended. Kept for Ray's name; see NodeDiedError."""

    _default_message = "The node of this task ended."


class RpcError(_MessageError):
    """A call to a remote service failed (clusters only). Try again."""

    def __init__(self, message: str = "", rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code


class AuthenticationError(_MessageError):
    """The key for a remote node is missing or wrong. Give the key of that node."""


class RuntimeEnvSetupError(RayError):
    """A runtime environment could not be made. The message names the key and the reason."""

    def __init__(self, error_message: str | None = None) -> None:
        self.error_message = error_message

    def __str__(self) -> str:
        return f"Failed to set up the runtime environment.\n{self.error_message or ''}".rstrip()


class ObjectRefStreamEndOfStreamError(RayError):
    """A streaming generator has no more items. Iterate with `for`, which ends by itself."""


class StreamingGeneratorReplayInconsistentError(RayError):
    """A streaming generator, run again after a crash, gave other items. Make it deterministic."""


class OufOfBandObjectRefSerializationException(RayError):
    """An ObjectRef was pickled where that is forbidden. Pass it as an argument of a task."""


class CrossLanguageError(RayError):
    """A task of another language failed. Never raised here: bolide runs Python only."""


class UnserializableException(RayError):
    """Stands for an exception that could not be sent or rebuilt. `str` is its text and traceback.

    Give the exception class a constructor that accepts its own `args`, or a `__reduce__`.
    """

    def __init__(self, original_stack_trace: str = "") -> None:
        super().__init__(original_stack_trace)
        self.original_stack_trace = original_stack_trace


class RayChannelError(RaySystemError):
    """A channel of a compiled graph failed."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """An operation on a compiled graph's channel ran out of time. Raise its timeout."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph has as many executions in flight as it can hold. `get` some first."""


class RayDirectTransportError(RaySystemError):
    """A direct tensor transfer between actors failed."""


# fmt: off
__all__ = [
    "ActorAlreadyExistsError", "ActorDiedError", "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved", "ActorUnavailableError", "ActorUnschedulableError",
    "AsyncioActorExit", "AuthenticationError", "CrossLanguageError", "GetTimeoutError",
    "LocalRayletDiedError", "NodeDiedError", "ObjectFetchTimedOutError", "ObjectFreedError",
    "ObjectLostError", "ObjectReconstructionFailedError", "ObjectRefStreamEndOfStreamError",
    "ObjectReconstructionFailedLineageEvictedError",
    "ObjectReconstructionFailedMaxAttemptsExceededError",
    "ObjectStoreFullError", "OufOfBandObjectRefSerializationException", "OutOfDiskError",
    "OutOfMemoryError", "OwnerDiedError", "PendingCallsLimitExceeded", "PlasmaObjectNotAvailable",
    "RayActorError", "RayCgraphCapacityExceeded", "RayChannelError", "RayChannelTimeoutError",
    "RayDirectTransportError", "RayError", "RaySystemError", "RayTaskError",
    "ReferenceCountingAssertionError", "RpcError", "RuntimeEnvSetupError",
    "StreamingGeneratorReplayInconsistentError", "TaskCancelledError",
    "TaskPlacementGroupRemoved", "TaskUnschedulableError", "UnserializableException",
    "UserCodeException", "WorkerCrashedError",
]
# fmt: on
RAY_EXCEPTION_TYPES = [globals()[name] for name in __all__]
for _cls in RAY_EXCEPTION_TYPES:
    _cls.__module__ = __name__

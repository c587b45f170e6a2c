"""From the core's errors to exceptions with Ray's names.

Two forms: the code of a failed call (base/status.h) with its sentence, and the value that the core
itself gave to an object (node/system_error.h). Thread safety: no state.
"""

from __future__ import annotations

import struct

from . import exceptions

_BY_KIND = {
    1: exceptions.WorkerCrashedError,
    3: exceptions.RaySystemError,
    4: exceptions.RuntimeEnvSetupError,
    5: exceptions.ObjectStoreFullError,
    7: exceptions.TaskUnschedulableError,
    8: exceptions.ObjectRefStreamEndOfStreamError,
    9: exceptions.OutOfDiskError,
    10: exceptions.OutOfMemoryError,
    11: exceptions.TaskPlacementGroupRemoved,
}
_BY_CODE = {
    3: exceptions.ObjectStoreFullError,
    9: exceptions.ActorAlreadyExistsError,
    10: exceptions.PendingCallsLimitExceeded,
    11: exceptions.OutOfDiskError,
}
_CANCELLED = 6  # its text begins with the task's id, 16 hexadecimal digits
_FIRST_OF_ACTORS = 16  # from this kind on the id of an actor comes before the sentence
# How the core ends the sentence of a failed system call, and what to do about it.
_ADVICE = (
    ("(errno 11)", "The limit of processes and threads is reached: raise it with ulimit -u, or end "
     "some."),
    ("(errno 12)", "Memory or address space is used up: free some, or raise the limit with "
     "ulimit -v."),
    ("(errno 23)", "The whole machine has too many open files."),
    ("(errno 24)", "The limit of open descriptors is reached: raise it with ulimit -n."),
)  # fmt: skip


def make(code: int, text: bytes) -> Exception:
    """The exception for a core error: `code` of a call, or -1 and an encoded value."""
    if code >= 0:
        sentence = _with_advice(text.decode("utf-8", "replace"))
        return _BY_CODE.get(code, exceptions.RaySystemError)(sentence)
    kind, _ = struct.unpack_from("<II", text)
    if kind == _CANCELLED:
        task, sentence = text[8:24].decode(), text[24:].decode("utf-8", "replace")
        return exceptions.TaskCancelledError(task, sentence)
    if kind >= _FIRST_OF_ACTORS:
        (actor,) = struct.unpack_from("<Q", text, 8)
        return _of_actor(kind, actor, text[16:])
    sentence = _with_advice(text[8:].decode("utf-8", "replace"))
    return _BY_KIND.get(kind, exceptions.RaySystemError)(sentence)


def _of_actor(kind: int, actor: int, rest: bytes) -> Exception:
    from ._hot import current_session
    from ._ids import ActorID

    session = current_session()
    actor_id = ActorID.of(session.id, actor).hex() if session is not None else None
    if kind == 19:  # kActorInitFailed
        from ._error_codec import load_plain

        try:
            cause = load_plain(rest)
        except Exception:
            return exceptions.ActorDiedError("the error of its constructor is unreadable", actor_id)
        return exceptions.ActorDiedError(cause, actor_id)
    sentence = rest.decode("utf-8", "replace")
    if kind == 17:  # kActorUnavailable
        return exceptions.ActorUnavailableError(sentence, actor_id)
    if kind == 18:  # kActorUnschedulable
        return exceptions.ActorUnschedulableError(sentence)
    if kind == 20:  # kActorOutOfMemory
        return exceptions.OutOfMemoryError(sentence)
    if kind == 21:  # kActorRuntimeEnv
        return exceptions.RuntimeEnvSetupError(sentence)
    if kind == 22:  # kActorGroupRemoved
        return exceptions.ActorPlacementGroupRemoved(sentence)
    return exceptions.ActorDiedError(sentence, actor_id)


def _with_advice(sentence: str) -> str:
    for end, advice in _ADVICE:
        if end in sentence:
            return f"{sentence.rstrip('.')}. {advice}"
    return sentence

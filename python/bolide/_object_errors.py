"""The exceptions about objects and their store; `bolide.exceptions` re-exports all of them.

It is a list of classes: who raises them is elsewhere. Each docstring says when the class is raised
and what to do. Thread safety: classes only. Invariants: those of `bolide.exceptions`.
"""

from __future__ import annotations

from ._task_error import RayError


class PlasmaObjectNotAvailable(RayError):
    """An object was not in the store in time. Kept for Ray's name; `get` raises GetTimeoutError."""


class ObjectStoreFullError(RayError):
    """No room for an object, although everything that can go has gone.

    The message says who holds what. Drop references, or raise `object_store_memory`.
    """


class OutOfDiskError(RayError):
    """No room to spill objects to disk. Free disk space, or drop references."""


class ObjectLostError(RayError):
    """An object is gone though a reference exists. Make it again.

    Args:
        object_ref_hex: id of the object, as hex digits.
        owner_address: address of its owner, if known.
        call_site: where the reference was made, if known.
        reason: a sentence that says how it was lost, if more is known than the class says.
    """

    _reason = "Every copy of it is lost."

    def __init__(
        self,
        object_ref_hex: str = "",
        owner_address: object = None,
        call_site: str = "",
        reason: str = "",
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site, reason)
        if reason:
            self._reason = reason
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site

    def __str__(self) -> str:
        made = f" Its ObjectRef was made at {self.call_site}." if self.call_site else ""
        return f"Object {self.object_ref_hex} cannot be retrieved. {self._reason}{made}"


class ObjectFetchTimedOutError(ObjectLostError):
    """An object could not be fetched from another machine in time (clusters only). `get` again."""

    _reason = "Fetching it from another machine timed out."


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand. Free objects only after their last use."""

    _reason = "It was freed by hand; free an object only after its last use."


class OwnerDiedError(ObjectLostError):
    """The process that owns the object has ended (the driver of another session). Make it again."""

    _reason = "The process that owns it has ended."


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """An object was deleted while a reference to it existed: a bug in bolide. Please report it."""

    _reason = "It was deleted while it was referenced, a bug in bolide: please report it."


class ObjectReconstructionFailedError(ObjectLostError):
    """A lost object cannot be made again: it came from `put` or an actor. Make it yourself."""

    _reason = "It cannot be made again, because it came from put() or from an actor."


class ObjectReconstructionFailedMaxAttemptsExceededError(ObjectLostError):
    """A lost object was made again as often as `max_retries` allows. Raise `max_retries`."""

    _reason = "It was made again as often as max_retries allows; raise max_retries (default 3)."


class ObjectReconstructionFailedLineageEvictedError(ObjectLostError):
    """A lost object's task is no longer known. Make the object yourself."""

    _reason = "The task that made it is no longer known."

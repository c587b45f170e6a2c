"""Ids as Ray has them: bytes of a fixed length, shown in hexadecimal.

The core's ids are numbers (`cpp/base/ids.h`); these are what programs are shown of them, and are
looked up nowhere. Thread safety: constant values.
"""

from __future__ import annotations

import os


class BaseID:
    """Some bytes that name something; ids of one kind are equal if their bytes are."""

    __slots__ = ("_bytes",)
    _SIZE = 28

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes) or len(data) != self._SIZE:
            kind = type(self).__name__
            article = "an" if kind[0] in "AO" else "a"
            raise ValueError(f"{article} {kind} is made of {self._SIZE} bytes, not of {data!r}")
        self._bytes = data

    @classmethod
    def from_hex(cls, text: str) -> BaseID:
        return cls(bytes.fromhex(text))

    @classmethod
    def nil(cls) -> BaseID:
        """The id of nothing."""
        return cls(b"\xff" * cls._SIZE)

    @classmethod
    def size(cls) -> int:
        """How many bytes it has."""
        return cls._SIZE

    @classmethod
    def from_random(cls) -> BaseID:
        """One that nothing else has."""
        return cls(os.urandom(cls._SIZE))

    def is_nil(self) -> bool:
        return self._bytes == b"\xff" * self._SIZE

    def binary(self) -> bytes:
        return self._bytes

    def hex(self) -> str:
        return self._bytes.hex()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __reduce__(self) -> tuple:
        return type(self), (self._bytes,)


class ActorID(BaseID):
    """The id of an actor: its session (8 bytes), the number of its object (8)."""

    __slots__ = ()
    _SIZE = 16

    @classmethod
    def of(cls, session: int, actor: int) -> ActorID:
        """The id of the actor with this object in this session."""
        return cls(session.to_bytes(8, "big") + actor.to_bytes(8, "big"))


class PlacementGroupID(BaseID):
    """The id of a placement group: its session (8 bytes), the number of its object (10)."""

    __slots__ = ()
    _SIZE = 18

    @classmethod
    def of(cls, session: int, group: int) -> PlacementGroupID:
        """The id of the group with this object in this session."""
        return cls(session.to_bytes(8, "big") + group.to_bytes(10, "big"))


class TaskID(BaseID):
    """The id of a task: what its first return is called, without the last 4 bytes."""

    __slots__ = ()
    _SIZE = 24


class JobID(BaseID):
    """The id of a job: a driver's session has one."""

    __slots__ = ()
    _SIZE = 4


class NodeID(BaseID):
    """The id of the node, which is that of its session."""

    __slots__ = ()

    @classmethod
    def of(cls, session: int) -> NodeID:
        return cls(session.to_bytes(28, "big"))


class WorkerID(BaseID):
    """The id of a process of a session, driver or worker: its session and its pid."""

    __slots__ = ()

    @classmethod
    def of(cls, session: int, pid: int) -> WorkerID:
        return cls(session.to_bytes(20, "big") + pid.to_bytes(8, "big"))


class UniqueID(BaseID):
    """An id of no certain kind."""

    __slots__ = ()


class FunctionID(UniqueID):
    """An id for a function; bolide itself names functions by their objects."""

    __slots__ = ()


class ActorClassID(UniqueID):
    """An id for the class of an actor; bolide itself names classes by their objects."""

    __slots__ = ()

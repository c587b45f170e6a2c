"""The id of an actor, as Ray shows it. Thread safety: it never changes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ActorID:
    """The id of an actor: 16 bytes, those of the session and those of the actor's object."""

    __slots__ = ("_bytes",)

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes) or len(data) != 16:
            raise ValueError(f"an ActorID is made of 16 bytes, not of {data!r}")
        self._bytes = data

    @classmethod
    def of(cls, session: int, actor: int) -> ActorID:
        """The id of the actor with this object in this session."""
        return cls(session.to_bytes(8, "big") + actor.to_bytes(8, "big"))

    @classmethod
    def from_hex(cls, text: str) -> ActorID:
        return cls(bytes.fromhex(text))

    @classmethod
    def nil(cls) -> ActorID:
        return cls(b"\xff" * 16)

    def is_nil(self) -> bool:
        return self == ActorID.nil()

    def binary(self) -> bytes:
        return self._bytes

    def hex(self) -> str:
        return self._bytes.hex()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorID) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return f"ActorID({self.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorID, (self._bytes,)

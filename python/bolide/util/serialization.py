"""Serializers of one's own: how instances of a class are pickled.

Thread safety: steps of a dict. Invariant: only the process that registers pickles differently;
what it wrote can be read anywhere, because the deserializer travels with it.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["deregister_serializer", "register_serializer"]


def register_serializer(
    cls: type, *, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]
) -> None:
    """From now on instances of `cls` itself, not of subclasses, are sent by `serializer`.

    It holds for all pickling in this process. Register in a task or actor too if it is to send
    such instances.

    Args:
        cls: the class.
        serializer: takes an instance, returns something that can be sent.
        deserializer: takes that, returns an instance; it runs where the value is read.

    Raises:
        TypeError: `cls` is no class, or one of the functions cannot be called.

    Example:
        >>> register_serializer(Connection, serializer=lambda c: c.url, deserializer=Connection)

    Follows Ray's page "Serialization", customized serialization.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_serializer takes a class, not {cls!r}")
    for function in (serializer, deserializer):
        if not callable(function):
            raise TypeError(f"a serializer must be a function, but {function!r} cannot be called")

    def reduced(instance: Any) -> tuple[Any, ...]:
        return _load, (deserializer, serializer(instance))

    copyreg.pickle(cls, reduced)


def deregister_serializer(cls: type) -> None:
    """Ends what `register_serializer` did. Does nothing if it did nothing."""
    copyreg.dispatch_table.pop(cls, None)


def _load(deserializer: Callable[[Any], Any], value: Any) -> Any:
    return deserializer(value)

"""The slow serializers: by value with `dumps`, modules, errors. The fast ones are in `bolide._hot`.

It holds no runtime state and knows no reference: an ObjectRef inside an argument reports itself
from its own `__reduce__`. Its parts, each with its own rules, are `_by_value` and `_dynamic_class`
(the only importers of cloudpickle, on first use), `_importable`, `_explain` and `_error_codec`.

Thread safety: every function may be called from any thread. Invariants: what `dumps` returns is
read by plain ``pickle.loads(data, buffers=buffers)`` in any process that can import bolide.
"""

from __future__ import annotations

from ._error_codec import pack_error, unpack_error
from ._explain import explain_unpicklable
from ._importable import invalidate, is_importable, names_unimportable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "dumps",
    "dumps_in_band",
    "explain_unpicklable",
    "invalidate",
    "is_importable",
    "names_unimportable",
    "pack_error",
    "unpack_error",
]


def dumps(
    obj: Any, on_restart: Callable[[], object] | None = None
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickles anything that cloudpickle can, functions and classes of `__main__` included.

    Use it where plain pickle refused, or where `names_unimportable` says that workers cannot read
    what plain pickle wrote. An instance of a class that travels by value is an instance of that
    very class when it comes back to the process that defined the class, and that process never has
    the attributes of its class overwritten.

    Args:
        obj: the object.
        on_restart: called if the pickling has to begin again, because functions that travel by
            value were met among data; drop what `__reduce__` methods have recorded so far.

    Returns:
        The pickle (protocol 5) and its out-of-band buffers, for
        ``pickle.loads(data, buffers=buffers)``.

    Raises:
        Exception: whatever the pickling raised; `explain_unpicklable` makes a sentence of it.

    Example:
        >>> data, buffers = dumps(lambda x: x + 1)
        >>> pickle.loads(data, buffers=buffers)(1)
        2

    Follows Ray's page "Serialization".
    """
    from ._by_value import dump_pieces

    buffers: list[pickle.PickleBuffer] = []

    def restart() -> None:
        buffers.clear()
        if on_restart is not None:
            on_restart()

    _, pieces = dump_pieces(obj, buffers.append, restart)
    return b"".join(pieces), buffers


def dumps_in_band(obj: Any) -> bytes:
    """One pickle without buffers, by plain pickle where that is enough, else as `dumps`.

    Args:
        obj: the object.

    Returns:
        Bytes for ``pickle.loads``.
    """
    import pickle

    try:
        data = pickle.dumps(obj, 5)
        if not names_unimportable(data):
            return data
    except Exception:  # by value then, and if that fails its error is the one to show
        pass
    from ._by_value import dump

    return dump(obj, lambda: None)

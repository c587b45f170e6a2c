"""`retry_exceptions`: which exceptions of a task make it run again, in the driver and the worker.

The classes travel before the arguments of each call, as `encode` packs them, so that the worker
can decide and a failed attempt sends no values. Follows Ray's page "Task fault tolerance".

Thread safety: functions without state.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ANY = b""  # retry_exceptions=True


def encode(retry_exceptions: bool | tuple[type, ...]) -> bytes:
    """The option as a task carries it: nothing for True, else a pickled tuple of classes."""
    if retry_exceptions is True:
        return _ANY
    from ._serialize import dumps_in_band

    return dumps_in_band(retry_exceptions)


def wants_retry(error: BaseException, classes: bytes) -> bool:
    """In the worker: whether the task that raised `error` is to run again.

    Only an Exception is retried: the others end a task on purpose. One that a nested `get` raised
    is an instance of its cause's class too.
    """
    if not isinstance(error, Exception):
        return False
    if classes == _ANY:
        return True
    import pickle

    try:
        wanted: Any = pickle.loads(classes)
    except Exception as reason:
        sys.stderr.write(f"bolide: not retried, since retry_exceptions cannot be read: {reason}\n")
        return False
    return isinstance(error, wanted)

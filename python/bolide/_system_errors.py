"""From the core's errors to exceptions with Ray's names.

Two forms: the code of a failed call (base/status.h) with its sentence, and the value that the core
itself gave to an object (node/system_error.h). Thread safety: no state.
"""

from __future__ import annotations

import struct

from . import exceptions

_BY_KIND = {
    1: exceptions.WorkerCrashedError,
    2: exceptions.ObjectLostError,
    3: exceptions.RaySystemError,
    4: exceptions.RuntimeEnvSetupError,
    5: exceptions.ObjectStoreFullError,
    6: exceptions.TaskCancelledError,
    7: exceptions.TaskUnschedulableError,
}
_FULL = 3  # Code::kFull


def make(code: int, text: bytes) -> Exception:
    """The exception for a core error: `code` of a call, or -1 and an encoded value."""
    if code >= 0:
        sentence = text.decode("utf-8", "replace")
        if code == _FULL:
            return exceptions.ObjectStoreFullError(sentence)
        return exceptions.RaySystemError(sentence)
    kind, _ = struct.unpack_from("<II", text)
    sentence = text[8:].decode("utf-8", "replace")
    return _BY_KIND.get(kind, exceptions.RaySystemError)(sentence)

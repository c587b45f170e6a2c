"""Hints: warnings about programs that are right and could be faster, once for each line of them.

Thread safety: any thread; two that come at once may both warn.
"""

from __future__ import annotations

from ._call_sites import outside

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

_given: set[tuple[str, int]] = set()


def hint_at_put(frame: types.FrameType | None, subject: str, size: int) -> None:
    """Warns that a large argument is passed again and again.

    Args:
        frame: the innermost frame of Python code; the line named is the first outside bolide.
        subject: what to call the argument.
        size: its bytes.
    """
    frame = outside(frame)
    if frame is None:
        return
    place = frame.f_code.co_filename, frame.f_lineno
    if place in _given:
        return
    _given.add(place)
    import warnings

    warnings.warn_explicit(
        f"{subject} ({size / 1e6:.3g} MB) is the same in many calls; put() it once before them and "
        "pass the reference instead, then nothing has to be looked at again",
        RuntimeWarning,
        *place,
        module=frame.f_globals.get("__name__"),
    )

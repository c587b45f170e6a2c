"""Where the program that uses bolide calls it: the innermost frame outside this package.

Thread safety: functions without state.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def outside(frame: types.FrameType | None) -> types.FrameType | None:
    """The first frame from `frame` outwards whose code is not bolide's; None if there is none."""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def describe(frame: types.FrameType | None) -> str:
    """That place as text, as in "/home/me/train.py:12 in load"."""
    frame = outside(frame)
    if frame is None:  # the object is made by bolide itself
        return "bolide"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"

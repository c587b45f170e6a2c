"""bolide.empty, zeros and array: NumPy arrays that are written where others will read them.

An array of 64 KiB or more gets a stretch of shared memory of its own; `bolide._hot` turns it into
an object when it is put, returned from a task, or passed to one. Smaller arrays are ordinary ones:
copying them costs less than a mapping.

Thread safety: as NumPy's functions of the same names. Invariant: before it is put, an array behaves
like any other; afterwards it is read-only for good.
"""

from __future__ import annotations

from . import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy


def empty(shape: int | tuple[int, ...], dtype: Any = float) -> numpy.ndarray:
    """A new array with undefined contents, whose memory lies in the object store.

    Write it, then `put` it, return it from a task or pass it as an argument: nothing is copied,
    whatever its size. From that moment it is read-only for good. Writing through the array raises
    ValueError; writing through another array that was made from it before ends the process with
    SIGSEGV.

    Args:
        shape: the lengths of the axes.
        dtype: the type of the elements; any but Python objects.

    Returns:
        A numpy.ndarray in C order.

    Raises:
        TypeError: `dtype` contains Python objects, which other processes cannot see.
        ObjectStoreFullError: the store has no room for it in time.

    Example:
        >>> frame = bolide.empty((1080, 1920, 3), "uint8")
        >>> frame[:] = 0
        >>> ref = bolide.put(frame)
    """
    return _new(shape, dtype, False, "empty")


def zeros(shape: int | tuple[int, ...], dtype: Any = float) -> numpy.ndarray:
    """As `empty`, filled with zeros.

    Example:
        >>> total = bolide.zeros(1_000_000)
    """
    return _new(shape, dtype, True, "zeros")


def array(obj: Any, dtype: Any = None) -> numpy.ndarray:
    """A copy of an array, or of nested sequences of numbers, whose memory lies in the object store.

    Args:
        obj: what `numpy.asarray` takes.
        dtype: the type of the elements; None: that of `obj`.

    Returns:
        A numpy.ndarray in C order, as `empty` returns it.

    Raises:
        TypeError: the elements are Python objects.
        ObjectStoreFullError: the store has no room for it in time.

    Example:
        >>> weights = bolide.array(numpy.load("weights.npy"))
    """
    import numpy

    source = numpy.asarray(obj, dtype)
    made = _new(source.shape, source.dtype, False, "array")
    numpy.copyto(made, source)
    return made


def _new(shape: Any, dtype: Any, zeroed: bool, name: str) -> numpy.ndarray:
    import numpy

    element = numpy.empty((), dtype)
    if element.dtype.hasobject:
        raise TypeError(
            f"bolide.{name}() was asked for dtype {element.dtype}, but arrays of Python objects "
            "cannot lie in shared memory; use a dtype of fixed size, or numpy and put()"
        )
    shape = numpy.broadcast_to(element, shape).shape  # checks it as NumPy does
    made = _hot.draft_array(shape, element.dtype, zeroed)
    if made is None:
        made = (numpy.zeros if zeroed else numpy.empty)(shape, element.dtype)
    return made

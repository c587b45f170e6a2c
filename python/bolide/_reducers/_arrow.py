"""Arrow: an array that is a slice sends what it shows, not the whole memory that it was cut from.

pyarrow offers its buffers to pickle without a copy, but those of a slice are its parent's. Here
each buffer is cut down to the range that is used, still without a copy. Tables, batches and chunked
arrays are pickled as their arrays, so they need nothing of their own.

The layouts are those of Arrow's "Columnar Format"; a type that is not known here is copied by
pyarrow if it holds much more than it shows. An array's parts are the tuple that pyarrow pickles:
(type, length, null count, offset, buffers, children, dictionary).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Parts = tuple[Any, int, int, int, list, list, Any]

_UNKNOWN_NULLS = -1
_VIEW_BYTES = 16  # of one element of a string view: a length, then the text or where it is
_INSIDE = 12  # the longest text that lies in the view itself
_BYTES_A_VIEW = 64  # of text behind each, up to which nobody looks how much of it is used


class _Unknown(Exception):
    """The layout of a type is not known here."""


def reducers(pyarrow: Any) -> dict[type, Callable[[Any], Any]]:
    """Type -> reducer, for every class of arrays."""
    return dict.fromkeys(_subclasses(pyarrow.Array), reduce_array)


def _subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def reduce_array(array: Any) -> Any:
    """A pyarrow.Array of any class."""
    restore, args = array.__reduce__()
    parts = args[0]
    if len(parts) != 7:  # another pyarrow than those that this was written for
        return restore, args
    try:
        return restore, (_cut(parts, 0, parts[1], restore),)
    except _Unknown:
        return _copy_if_wasteful(array).__reduce__()


def _copy_if_wasteful(array: Any) -> Any:
    import pyarrow

    try:
        if array.get_total_buffer_size() > 2 * array.nbytes:
            return pyarrow.concat_arrays([array])
    except (NotImplementedError, pyarrow.ArrowException):  # no such operation for this type
        pass
    return array


def _cut(parts: Parts, skip: int, length: int, restore: Callable[[Parts], Any]) -> Parts:
    """The parts of `length` elements from element `skip` on, with no more memory than they need.

    Bitmaps can be cut at whole bytes only, so up to seven elements stay before the first.
    """
    import pyarrow

    kind, whole, nulls, offset, buffers, children, dictionary = parts
    layout = kind
    while isinstance(layout, pyarrow.BaseExtensionType):
        layout = layout.storage_type
    start = offset + skip
    first, end = start - start % 8, start + length
    if (skip, length) != (0, whole) and nulls:
        nulls = _UNKNOWN_NULLS

    types = pyarrow.types
    if types.is_null(layout):
        return parts[:1] + (length, length, 0) + parts[4:]
    data = [_bits(buffers[0], first, end)]
    if types.is_struct(layout):
        children = [_cut(child, first, end - first, restore) for child in children]
    elif types.is_fixed_size_list(layout):
        size = layout.list_size
        children = [_cut(children[0], first * size, (end - first) * size, restore)]
    elif types.is_list(layout) or types.is_map(layout) or types.is_large_list(layout):
        width = 8 if types.is_large_list(layout) else 4
        offsets, low, high = _offsets(buffers[1], width, first, end)
        data.append(offsets)
        children = [_cut(children[0], low, high - low, restore)]
    elif (
        types.is_string(layout)
        or types.is_binary(layout)
        or types.is_large_string(layout)
        or types.is_large_binary(layout)
    ):
        width = 8 if types.is_large_string(layout) or types.is_large_binary(layout) else 4
        offsets, low, high = _offsets(buffers[1], width, first, end)
        data += [offsets, _bytes(buffers[2], low, high)]
    elif types.is_string_view(layout) or types.is_binary_view(layout):
        views = _bytes(buffers[1], first * _VIEW_BYTES, end * _VIEW_BYTES)
        data += [views, *buffers[2:]]
        if _is_mostly_unused(views, buffers[2:], end - first):
            part = restore((layout, end - first, nulls, 0, data, [], None))
            plain = (
                pyarrow.large_string() if types.is_string_view(layout) else pyarrow.large_binary()
            )
            data = part.cast(plain).cast(layout).__reduce__()[1][0][4]
    elif len(buffers) == 2 and not children:
        width = _bit_width(layout)
        if width == 1:
            data.append(_bits(buffers[1], first, end))
        else:
            data.append(_bytes(buffers[1], first * width // 8, end * width // 8))
    else:
        raise _Unknown
    return kind, length, nulls, start - first, data, children, dictionary


def _is_mostly_unused(views: Any, texts: list, count: int) -> bool:
    import numpy

    total = sum(map(_size, texts))
    if total <= _BYTES_A_VIEW * (count + 1):
        return False
    lengths = numpy.frombuffer(views, dtype="<i4")[::4]
    return total > 2 * int(lengths[lengths > _INSIDE].sum(dtype="i8")) + _BYTES_A_VIEW


def _bit_width(layout: Any) -> int:
    try:
        width = layout.bit_width
    except ValueError:
        raise _Unknown from None
    if width != 1 and width % 8:
        raise _Unknown
    return width


def _size(buffer: Any) -> int:
    return 0 if buffer is None else buffer.size


def _bytes(buffer: Any, begin: int, end: int) -> Any:
    if buffer is None:
        return None
    begin = min(begin, buffer.size)
    return buffer.slice(begin, min(end, buffer.size) - begin)


def _bits(buffer: Any, begin: int, end: int) -> Any:
    return _bytes(buffer, begin // 8, (end + 7) // 8)


def _offsets(buffer: Any, width: int, first: int, end: int) -> tuple[Any, int, int]:
    """The offsets of elements `first` to `end`, counted from 0, and the range that they span."""
    import numpy
    import pyarrow

    cut = _bytes(buffer, first * width, (end + 1) * width)
    if _size(cut) == 0:  # an array without elements need not have any
        return cut, 0, 0
    numbers = numpy.frombuffer(cut, dtype=f"<i{width}")
    low, high = int(numbers[0]), int(numbers[-1])
    if low:
        cut = pyarrow.py_buffer(numbers - low)
    return cut, low, high

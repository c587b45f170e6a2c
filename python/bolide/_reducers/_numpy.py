"""NumPy: arrays whose own pickling would copy them first. `bolide._hot` does exact arrays."""

from __future__ import annotations

from .. import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Of subclasses NumPy pickles copies. These travel as the array that they are, and come back as
# NumPy's own pickle brings them: without attributes, a memmap without its file.
_BARE_SUBCLASSES = ("recarray", "memmap", "matrix")


def reducers(numpy: Any) -> dict[type, Callable[[Any], Any]]:
    """Type -> reducer."""
    found: dict[type, Callable[[Any], Any]] = {numpy.ndarray: _hot.reduce_array}
    for name in _BARE_SUBCLASSES:
        found[getattr(numpy, name)] = reduce_subclass
    return found


def reduce_subclass(array: Any) -> Any:
    """An array of a subclass that adds behaviour and no data."""
    import numpy

    if array.dtype.hasobject:
        return array.__reduce_ex__(5)
    return view_as, (array.view(numpy.ndarray), type(array))


def view_as(array: Any, cls: type) -> Any:
    """Makes it again."""
    return array.view(cls)

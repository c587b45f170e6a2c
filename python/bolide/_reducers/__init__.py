"""How the types of other libraries are pickled, so that their data are copied once and not twice.

Most need nothing here: what offers buffers of pickle protocol 5 (NumPy, pandas, SciPy) is taken as
it is. This package has reducers for types that would copy their data into the pickle, or send more
than they show. They count for the pickler of a value only, never for `pickle` at large. A library
is looked at once the user has imported it; none is imported from here.

Thread safety: `of_loaded` is called with the GIL and changes nothing but a cache.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Library -> the module here that knows it, and what the library has once its import is far enough.
_LIBRARIES = {
    "numpy": ("_numpy", "ndarray"),
    "pyarrow": ("_arrow", "concat_arrays"),
    "polars": ("_polars", "from_arrow"),
    "torch": ("_torch", "frombuffer"),
}


def of_loaded(tensors: bool = True) -> dict[type, Callable[[Any], Any]]:
    """The reducers for what is imported now.

    Args:
        tensors: whether those of PyTorch are among them.

    Returns:
        Type -> reducer, as in ``copyreg.dispatch_table``; for exact types only.
    """
    found: dict[type, Callable[[Any], Any]] = {memoryview: reduce_memoryview}
    for name, (module, mark) in _LIBRARIES.items():
        library = sys.modules.get(name)
        if hasattr(library, mark) and (tensors or name != "torch"):
            found.update(import_module(f".{module}", __name__).reducers(library))
    return found


def reduce_memoryview(view: memoryview) -> Any:
    """A memoryview comes back as a read-only one of the same format and shape."""
    from pickle import PickleBuffer

    if view.c_contiguous and view.nbytes:
        flat = view.cast("B") if view.format != "B" or view.ndim != 1 else view
        return rebuild_memoryview, (PickleBuffer(flat), view.format, view.shape)
    return rebuild_memoryview, (view.tobytes(), view.format, view.shape)


def rebuild_memoryview(data: Any, kind: str, shape: tuple[int, ...]) -> memoryview:
    """Makes it again from its bytes."""
    view = memoryview(data).toreadonly()
    if kind == "B" and len(shape) == 1:
        return view
    if 0 in shape:  # cast refuses empty shapes
        return view.cast(kind) if len(shape) == 1 else view
    return view.cast(kind, shape)

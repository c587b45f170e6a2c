"""Tensors as flat arrays: NumPy arrays and torch tensors on the CPU, of any shape and layout.

Thread safety: no state.
"""

from __future__ import annotations

import numpy as np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Flat:
    """A tensor as a flat array while the block runs; what it has then is what the tensor gets."""

    def __init__(self, tensor: Any, changes: bool = True) -> None:
        array = _as_array(tensor)
        if changes and not array.flags.writeable:
            raise ValueError(
                "the tensor is read-only, as arrays from get() and arguments of tasks are, but the "
                "result is written into it; give a copy of it."
            )
        self._array = array
        self._changes = changes
        self._flat = np.ascontiguousarray(array).reshape(-1)

    def __enter__(self) -> np.ndarray:
        return self._flat

    def __exit__(self, kind: Any, *_: object) -> None:
        if self._changes and kind is None and not np.shares_memory(self._flat, self._array):
            np.copyto(self._array, self._flat.reshape(self._array.shape))


class FlatList:
    """Several tensors as flat arrays."""

    def __init__(self, tensors: Sequence[Any], changes: bool = True) -> None:
        self._all = [Flat(tensor, changes) for tensor in tensors]

    def __enter__(self) -> list[np.ndarray]:
        return [each.__enter__() for each in self._all]

    def __exit__(self, *exc: Any) -> None:
        for each in self._all:
            each.__exit__(*exc)


def _as_array(tensor: Any) -> np.ndarray:
    if isinstance(tensor, np.ndarray):
        if tensor.dtype.hasobject:
            raise TypeError("the tensor is an array of Python objects; give one of numbers.")
        return tensor
    if type(tensor).__module__.partition(".")[0] == "torch" and hasattr(tensor, "numpy"):
        if tensor.device.type != "cpu":
            raise TypeError(
                f"the tensor is on {tensor.device}, but collectives here take tensors on the CPU; "
                "move it with .cpu()."
            )
        return tensor.detach().numpy()
    raise TypeError(
        f"the tensor is a {type(tensor).__name__}, but it must be a NumPy array or a torch tensor "
        "on the CPU; convert it."
    )

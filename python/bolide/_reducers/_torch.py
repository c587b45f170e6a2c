"""PyTorch: CPU tensors that hold data and no history. Everything else is left to torch itself.

torch copies a tensor into the pickle twice and never offers its memory as a buffer. Here a tensor
of 64 KiB or more travels as the array that its memory is, and comes back as a tensor over the
read-only memory of the store. torch knows no read-only tensors: writing into such a one ends the
process with SIGSEGV, so `docs/objects.md` says to clone it first. Smaller ones come back as copies
that may be written.

A value that contains a Parameter is a model or an optimizer, which will be written by training: all
of its tensors are left to torch, which copies them.
"""

from __future__ import annotations

from .. import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IN_PLACE = 65536  # bytes from which a tensor stays where it is in the store


def reducers(torch: Any) -> dict[type, Callable[[Any], Any]]:
    """Type -> reducer."""
    return {torch.Tensor: reduce_tensor, torch.nn.Parameter: reduce_parameter}


def reduce_parameter(parameter: Any) -> Any:
    """Ends this pickling; the encoder begins again without the reducers of this module."""
    raise _hot.LeaveTensors


def reduce_tensor(tensor: Any) -> Any:
    """An exact torch.Tensor."""
    import torch

    is_plain = (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not tensor.requires_grad
        and not tensor.is_quantized
        and not tensor.is_nested
        and not tensor.is_conj()
        and not tensor.is_neg()
        and not tensor.__dict__
        and tensor.numel() > 0
    )
    array = _as_array(torch, tensor) if is_plain else None
    if array is None:
        return tensor.__reduce_ex__(5)
    dtype = str(tensor.dtype).rpartition(".")[2]
    if array.nbytes < IN_PLACE:
        return rebuild_small, (array.tobytes(), dtype, tuple(array.shape))
    return rebuild_large, (array, dtype)


def _as_array(torch: Any, tensor: Any) -> Any:
    """The tensor's memory as an array; of integers where NumPy lacks the dtype (bfloat16)."""
    try:
        return tensor.numpy()
    except TypeError:
        stand_in = {1: torch.uint8, 2: torch.int16, 4: torch.int32}.get(tensor.element_size())
        return None if stand_in is None else tensor.view(stand_in).numpy()


def rebuild_small(data: bytes, dtype: str, shape: tuple[int, ...]) -> Any:
    """A tensor with memory of its own."""
    import torch

    return torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype)).reshape(shape)


def rebuild_large(array: Any, dtype: str) -> Any:
    """A tensor over the array's memory, without torch's warning that it cannot be written."""
    import torch

    tensor = torch.from_numpy(_hot.claim_writeable(array))
    wanted = getattr(torch, dtype)
    return tensor if tensor.dtype is wanted else tensor.view(wanted)

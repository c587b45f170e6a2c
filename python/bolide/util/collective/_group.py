"""A member of a group, and its operations on flat NumPy arrays.

A slice of an array is cut into as many parts as there are members. Each member stores the parts of
the others, reduces its own part of all arrays block by block, so that the sum stays in the cache,
stores that, and takes the reduced parts of the others. Small arrays are brought to the meeting.

Thread safety: one thread of a member at a time. Invariants: members call the same operations in the
same order; all of them reduce in the order of ranks, so their results are equal bit for bit.
"""

from __future__ import annotations

import numpy as np

from ... import get, put
from .types import ReduceOp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ... import ObjectRef

_BLOCK = 1 << 18  # bytes that are reduced at a time
_SLICE = 1 << 22  # bytes of an array that are exchanged at a time
_SMALL = 1 << 15  # bytes up to which an array is sent whole

_FUNCTIONS: dict[ReduceOp, Callable[..., Any]] = {
    ReduceOp.SUM: np.add,
    ReduceOp.PRODUCT: np.multiply,
    ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum,
}


class Group:
    """What a member knows of its group: `name`, `size`, its `rank`, the meeting."""

    def __init__(self, name: str, size: int, rank: int, meeting: Any) -> None:
        self.name = name
        self.size = size
        self.rank = rank
        self._meeting = meeting
        self._met = 0
        self._sent: dict[tuple[int, int], int] = {}  # letters so far, by (from, to)

    def meet(self, bring: Any) -> list[Any]:
        """What all members bring to the next meeting, by rank."""
        self._met += 1
        return get(self._meeting.meet.remote(self._met, self.rank, bring))

    def exchange(self, array: np.ndarray, bring: Any) -> list[Any]:
        """The same, after it is certain that the arrays of all members go together."""
        brought = self.meet((array.size, array.dtype.str, bring))
        for size, kind, _ in brought:
            check_same(array, size, kind)
        return [what for _, _, what in brought]

    def leave(self) -> bool:
        """Whether this was the last member."""
        return get(self._meeting.leave.remote(self.rank))

    def allreduce(self, array: np.ndarray, op: ReduceOp) -> None:
        """Reduces the arrays of all members into each of them."""
        if array.nbytes <= _SMALL:
            reduce_into(array, self.exchange(array, array), op)
            return
        # Slice by slice, so that what is in the store at a time is little and stays warm. One
        # meeting passes on the reduced parts of a slice and the raw ones of the next.
        step = max(1, _SLICE // array.itemsize)
        slices = [array[at : at + step] for at in range(0, array.size, step)]
        parts = np.array_split(slices[0], self.size)
        raw = self.exchange(array, self._stored_for_others(parts))
        for following in [*slices[1:], None]:
            self._reduce_part(parts[self.rank], parts[self.rank], raw, op)
            reduced = put(parts[self.rank])
            later = [] if following is None else np.array_split(following, self.size)
            brought = self.meet((reduced, self._stored_for_others(later)))
            for rank, (ref, _) in enumerate(brought):
                if rank != self.rank:
                    copy_from(parts[rank], ref)
            parts, raw = later, [refs for _, refs in brought]

    def reduce(self, array: np.ndarray, root: int, op: ReduceOp) -> None:
        """Reduces the arrays of all members into that of `root`; the others keep theirs."""
        if array.nbytes <= _SMALL:
            arrays = self.exchange(array, array)
            if self.rank == root:
                reduce_into(array, arrays, op)
            return
        work = array if self.rank == root else array.copy()
        parts = self._reduce_own(work, op)
        mine = [] if self.rank == root else [put(parts[self.rank])]
        reduced = self.meet(mine)
        if self.rank == root:
            for rank, refs in enumerate(reduced):
                if rank != root:
                    copy_from(parts[rank], refs[0])

    def broadcast(self, array: np.ndarray, root: int) -> None:
        """Copies the array of `root` to the others."""
        found = self.exchange(array, [put(array)] if self.rank == root else [])[root]
        if self.rank != root:
            copy_from(array, found[0])

    def allgather(self, arrays: Sequence[np.ndarray], array: np.ndarray) -> None:
        """Copies the arrays of all members to each of them, by rank."""
        for into, (ref,) in zip(arrays, self.exchange(array, [put(array)])):
            copy_from(into, ref)

    def reducescatter(self, array: np.ndarray, arrays: Sequence[np.ndarray], op: ReduceOp) -> None:
        """Reduces into `array` what all members have for this one in `arrays`."""
        brought = self.exchange(array, self._stored_for_others(arrays))
        self._reduce_part(array, arrays[self.rank], brought, op)

    def send(self, array: np.ndarray, to: int) -> None:
        """Posts the array; it may be changed when this returns."""
        get(self._meeting.post.remote(self._address(self.rank, to), [put(array)]))

    def receive(self, array: np.ndarray, source: int) -> None:
        """Waits for the next array from `source`."""
        (ref,) = get(self._meeting.take.remote(self._address(source, self.rank)))
        copy_from(array, ref)

    def _address(self, source: int, to: int) -> tuple[int, int, int]:
        number = self._sent[source, to] = self._sent.get((source, to), 0) + 1
        return source, to, number

    def _reduce_own(self, array: np.ndarray, op: ReduceOp) -> list[np.ndarray]:
        """Reduces this member's part of all arrays into that part of its own; all parts of that."""
        parts = np.array_split(array, self.size)
        brought = self.exchange(array, self._stored_for_others(parts))
        self._reduce_part(parts[self.rank], parts[self.rank], brought, op)
        return parts

    def _stored_for_others(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """References to stored arrays, by the rank of who is to read them; none for this one."""
        return [None if rank == self.rank else put(each) for rank, each in enumerate(arrays)]

    def _reduce_part(
        self, into: np.ndarray, own: np.ndarray, brought: list[Any], op: ReduceOp
    ) -> None:
        arrays = [
            own if rank == self.rank else get(refs[self.rank]) for rank, refs in enumerate(brought)
        ]
        reduce_into(into, arrays, op)


def reduce_into(into: np.ndarray, arrays: Sequence[np.ndarray], op: ReduceOp) -> None:
    """Reduces arrays of one shape, in their order. `into` may be one of them."""
    function = _FUNCTIONS[op]
    if len(arrays) == 1:
        if into is not arrays[0]:
            np.copyto(into, arrays[0])
        return
    step = max(1, _BLOCK // max(1, into.itemsize))
    scratch = np.empty(min(step, into.size), into.dtype)
    for array in arrays:
        check_same(into, array.size, array.dtype.str)
    for at in range(0, into.size, step):
        blocks = [array[at : at + step] for array in arrays]
        block = scratch[: blocks[0].size]
        function(blocks[0], blocks[1], out=block)
        for other in blocks[2:-1]:
            function(block, other, out=block)
        if len(blocks) > 2:
            function(block, blocks[-1], out=into[at : at + step])
        else:
            into[at : at + step] = block


def copy_from(into: np.ndarray, ref: ObjectRef) -> None:
    """Copies a stored array."""
    array = get(ref)
    check_same(into, array.size, array.dtype.str)
    np.copyto(into, array)


def check_same(mine: np.ndarray, size: int, kind: str) -> None:
    """Raises if the array of another member does not go with this one."""
    if mine.size != size or mine.dtype.str != kind:
        raise ValueError(
            f"the tensor here has {mine.size} elements of {mine.dtype}, and that of another member "
            f"{size} of {np.dtype(kind)}; all members must give tensors of one size and type."
        )

"""Names of operations and backends. Follows Ray's page "ray.util.collective.types"."""

from __future__ import annotations

from enum import Enum

unset_timeout_ms = 30_000


class ReduceOp(Enum):
    """How elements are combined."""

    SUM = 0
    PRODUCT = 1
    MIN = 2
    MAX = 3


class Backend:
    """What carries the data: here always the object store. NCCL is refused: it is for GPUs."""

    NCCL = "nccl"
    GLOO = "gloo"
    TORCH_GLOO = "torch_gloo"
    UNRECOGNIZED = "unrecognized"

    def __new__(cls, name: str = "gloo") -> str:  # type: ignore[misc]  # as in Ray, a name is what it gives
        known = {cls.NCCL, cls.GLOO, cls.TORCH_GLOO}
        backend = name.lower() if isinstance(name, str) else name
        if backend not in known:
            raise ValueError(
                f"Unrecognized backend: {name!r}. Only {sorted(known)} are known; use 'gloo'."
            )
        if backend == cls.NCCL:
            raise RuntimeError(
                "NCCL is not available: collectives here are of arrays on the CPU, through the "
                "object store. Use backend='gloo'."
            )
        return backend

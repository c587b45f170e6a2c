"""`persist` into the store: results of `dask.persist` stay there, and the driver has references.

Thread safety: the patch is made once, at import. Invariant: `dask.persist` is Dask's own unless
this scheduler is the one that it would use.
"""

from __future__ import annotations

import functools

import dask
from dask.base import DaskMethodsMixin

from ._scheduler import ray_dask_get, ray_dask_get_sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_persist = dask.persist
_persist_method = DaskMethodsMixin.persist


@functools.wraps(_persist)
def ray_dask_persist(*args: Any, **kwargs: Any) -> Any:
    """`dask.persist`, which leaves the results of this scheduler in the store."""
    return _persist(*args, **_with_flag(kwargs))


@functools.wraps(_persist_method)
def _ray_persist_method(self: Any, **kwargs: Any) -> Any:
    return _persist_method(self, **_with_flag(kwargs))


def patch_persist() -> None:
    """Puts these in the place of Dask's."""
    dask.persist = ray_dask_persist
    DaskMethodsMixin.persist = _ray_persist_method


def _with_flag(kwargs: dict[str, Any]) -> dict[str, Any]:
    scheduler = kwargs.get("scheduler") or dask.config.get("scheduler", None)
    ours = scheduler in (ray_dask_get, ray_dask_get_sync)
    return {**kwargs, "ray_persist": True} if ours else kwargs

"""Dask on bolide: a scheduler for Dask's graphs, its callbacks, and `persist` into the store.

This module only names what is public, with Ray's names. Importing it lets `dask.persist` leave
results in bolide's store where this scheduler is the one in use; nothing else of Dask is changed.
"""

from ._callbacks import ProgressBarCallback, RayDaskCallback
from ._persist import patch_persist, ray_dask_persist
from ._scheduler import (
    dataframe_optimize,
    disable_dask_on_ray,
    enable_dask_on_ray,
    ray_dask_get,
    ray_dask_get_sync,
)

__all__ = [
    "ProgressBarCallback",
    "RayDaskCallback",
    "dataframe_optimize",
    "disable_dask_on_ray",
    "enable_dask_on_ray",
    "ray_dask_get",
    "ray_dask_get_sync",
    "ray_dask_persist",
]

patch_persist()

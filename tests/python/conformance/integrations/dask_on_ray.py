"""Ray's page "Using Dask on Ray": the scheduler, enabled for a scope or for all, on collections."""

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import ray
from ray.util.dask import disable_dask_on_ray, enable_dask_on_ray, ray_dask_get

ray.init(num_cpus=2)

# Dask-on-Ray scheduler, given to one computation.
d_arr = da.from_array(np.random.default_rng(0).integers(0, 1000, size=(256, 256)), chunks=64)
mean = d_arr.mean().compute(scheduler=ray_dask_get)
assert mean == d_arr.mean().compute(scheduler="sync")

# For a scope.
df = dd.from_pandas(
    pd.DataFrame(
        np.random.default_rng(0).integers(0, 100, size=(1024, 2)), columns=["age", "grade"]
    ),
    npartitions=2,
)
with enable_dask_on_ray():
    groups = df.groupby(["age"]).mean().compute()
assert groups.equals(df.groupby(["age"]).mean().compute(scheduler="sync"))

# For all, then no more.
enable_dask_on_ray()
assert dask.config.get("scheduler") is ray_dask_get
assert len(df.set_index(["age"], npartitions=4).compute()) == 1024
disable_dask_on_ray()
assert dask.config.get("scheduler") is None
print("done")

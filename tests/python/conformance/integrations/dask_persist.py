"""Ray's page "Using Dask on Ray", persist: results stay in the object store."""

import dask
import dask.array as da
import ray
from ray.util.dask import enable_dask_on_ray

ray.init(num_cpus=2)
enable_dask_on_ray()
d_arr = da.ones(100, chunks=25)

# This submits all underlying tasks and returns an array with references in it.
d_arr_p = d_arr.persist()
assert dask.is_dask_collection(d_arr_p)

# Future computations on it begin from what was persisted.
assert d_arr_p.sum().compute() == 100
assert d_arr_p.min().compute() == 1
assert d_arr_p.max().compute() == 1
print("done")

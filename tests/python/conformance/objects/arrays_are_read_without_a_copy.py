"""Ray's page "Serialization", "NumPy Arrays": a read-only view, and a copy where it is written."""

import numpy as np
import ray

ray.init(num_cpus=2)


@ray.remote
def add_one(array):
    assert not array.flags.writeable and not array.flags.owndata
    try:
        array += 1
    except ValueError as error:
        assert "read-only" in str(error)
        array = array + 1
    return array


ref = ray.put(np.zeros(200_000))
first, second = ray.get(ref), ray.get(ref)
assert first.__array_interface__["data"][0] == second.__array_interface__["data"][0]
assert ray.get(add_one.remote(ref)).sum() == 200_000
assert first.sum() == 0
del ref
assert second.sum() == 0  # a view keeps its object

print("done")

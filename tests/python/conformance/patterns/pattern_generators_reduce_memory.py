"""Ray's page "Pattern: Using generators to reduce heap memory usage"."""

import numpy as np
import ray

ray.init(num_cpus=2)


@ray.remote(num_returns=5)
def parts():
    for i in range(5):
        yield np.full(200_000, i)


assert [array.sum() for array in ray.get(parts.remote())] == [i * 200_000 for i in range(5)]

print("done")

"""Ray's page "Anti-pattern: Closure capturing large objects harms performance": it is sent once."""

import numpy as np
import ray

ray.init(num_cpus=2)
large = np.zeros(4_000_000)


@ray.remote
def captures():
    return large.nbytes


@ray.remote
def takes(array):
    return array.nbytes


ref = ray.put(large)
assert ray.get([captures.remote() for _ in range(10)]) == [32_000_000] * 10
assert ray.get([takes.remote(ref) for _ in range(10)]) == [32_000_000] * 10

print("done")

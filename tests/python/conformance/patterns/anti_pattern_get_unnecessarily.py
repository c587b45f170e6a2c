"""Ray's page "Anti-pattern: Calling ray.get unnecessarily harms performance".

A reference can be handed on: the value goes from task to task, and the driver never has it.
"""

import numpy as np
import ray

ray.init(num_cpus=2)


@ray.remote
def make(n):
    return np.ones(n)


@ray.remote
def reduce(array):
    return float(np.sum(array))


by_way_of_the_driver = ray.get(reduce.remote(ray.get(make.remote(100_000))))
by_reference = ray.get(reduce.remote(make.remote(100_000)))
assert by_way_of_the_driver == by_reference == 100_000.0

print("done")

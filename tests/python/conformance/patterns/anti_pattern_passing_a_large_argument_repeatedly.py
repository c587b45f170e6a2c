"""Ray's page "Anti-pattern: Passing the same large argument by value repeatedly harms performance".

It works, and so does putting it once: then all tasks read one object.
"""

import warnings

import numpy as np
import ray

ray.init(num_cpus=2, object_store_memory=256 << 20)
large = np.arange(4 << 20, dtype=np.uint8)  # 4 MiB; 100 copies at a time would not fit


@ray.remote
def last(array):
    return int(array[-1])


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    assert set(ray.get([last.remote(large) for _ in range(20)])) == {int(large[-1])}
assert all("put() it once" in str(each.message) for each in said)
ref = ray.put(large)
assert set(ray.get([last.remote(ref) for _ in range(100)])) == {int(large[-1])}

print("done")

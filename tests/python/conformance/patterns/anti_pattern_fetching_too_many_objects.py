"""Ray's page "Anti-pattern: Fetching too many objects at once with ray.get causes failure".

Here what does not fit goes to the disk; objects that are taken in batches never need it.
"""

import numpy as np
import ray

ray.init(num_cpus=2, object_store_memory=64 << 20)
MIB = 1 << 20


@ray.remote
def block(i):
    return np.full(MIB, i, dtype=np.uint8)


total = 0
for start in range(0, 100, 20):
    refs = [block.remote(i) for i in range(start, start + 20)]
    total += sum(int(array[0]) for array in ray.get(refs))
    del refs
assert total == sum(range(100))

everything = [block.remote(i) for i in range(100)]
assert [int(ray.get(ref)[-1]) for ref in everything] == list(range(100))

print("done")

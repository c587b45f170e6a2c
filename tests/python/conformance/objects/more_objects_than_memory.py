"""Ray's page "Object Spilling": what memory has no room for goes to the disk."""

import numpy as np
import ray

ray.init(num_cpus=1, object_store_memory=80 << 20)
refs = [ray.put(np.full(10 << 20, i, dtype=np.uint8)) for i in range(20)]  # 200 MiB
for i, ref in enumerate(refs):
    array = ray.get(ref)
    assert array[0] == array[-1] == i
    del array

print("done")

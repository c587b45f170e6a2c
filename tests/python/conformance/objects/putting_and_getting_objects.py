"""Ray's page "Objects": values are immutable copies; arrays are read-only views of the store."""

import numpy as np
import ray

ray.init(num_cpus=2)

ref = ray.put([1, 2])
ray.get(ref).append(3)
assert ray.get(ref) == [1, 2]
assert ray.get([ray.put(i) for i in range(3)]) == [0, 1, 2]

array = ray.get(ray.put(np.arange(1_000_000)))
assert not array.flags.writeable and array.sum() == 499999500000
try:
    array[0] = 1
except ValueError:
    pass
else:
    raise AssertionError("an array of the object store was written")

for wrong in (lambda: ray.put(ref), lambda: ray.get(1)):
    try:
        wrong()
    except (TypeError, ValueError):
        pass
    else:
        raise AssertionError("a wrong argument was taken")


@ray.remote
def never():
    import time

    time.sleep(1000)


try:
    ray.get(never.remote(), timeout=0.1)
except ray.exceptions.GetTimeoutError as error:
    assert isinstance(error, TimeoutError)
else:
    raise AssertionError("get did not time out")

print("done")

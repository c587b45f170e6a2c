"""Ray's page "Ray Generators", "Generator backpressure": it waits for its consumer."""

import os
import tempfile
import time

import ray

ray.init(num_cpus=2)
path = os.path.join(tempfile.mkdtemp(), "yielded")


@ray.remote(_generator_backpressure_num_objects=2)
def count(path):
    for i in range(6):
        with open(path, "a") as file:
            file.write("x")
        yield i


generator = count.remote(path)
assert ray.get(next(generator)) == 0
time.sleep(0.3)
assert os.path.getsize(path) <= 4
assert [ray.get(ref) for ref in generator] == [1, 2, 3, 4, 5]
assert os.path.getsize(path) == 6

print("done")

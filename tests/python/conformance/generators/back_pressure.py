"""Ray's page "Ray Generators", "Generator backpressure": it waits for its consumer."""

import os
import tempfile

import ray

ray.init(num_cpus=2)
path = os.path.join(tempfile.mkdtemp(), "yielded")


@ray.remote(_generator_backpressure_num_objects=2)
def count(path):
    for i in range(1000):
        with open(path, "a") as file:
            file.write("x")
        yield i


generator = count.remote(path)
for i, ref in enumerate(generator):
    assert ray.get(ref) == i
    assert os.path.getsize(path) <= i + 4  # those taken, two ahead, and one that waits
assert os.path.getsize(path) == 1000

print("done")

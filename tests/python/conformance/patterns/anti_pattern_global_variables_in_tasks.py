"""Ray's page "Anti-pattern: Using global variables to share state between tasks and actors"."""

import ray

ray.init(num_cpus=1)
count = [0]


@ray.remote
def increment():
    count[0] += 1
    return count[0]


ray.get([increment.remote() for _ in range(5)])
assert count == [0]

print("done")

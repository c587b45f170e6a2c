"""Ray's page "Anti-pattern: Calling ray.get in a loop harms parallelism": it works all the same."""

import ray

ray.init(num_cpus=2)


@ray.remote
def f(i):
    return i


one_by_one = [ray.get(f.remote(i)) for i in range(20)]
together = ray.get([f.remote(i) for i in range(20)])
assert one_by_one == together == list(range(20))

print("done")

"""Ray's page "ray.remote", `max_calls`: the worker ends after so many calls of the function."""

import os

import ray

ray.init(num_cpus=1)


@ray.remote(max_calls=1)
def pid():
    return os.getpid()


@ray.remote
def kept():
    return os.getpid()


assert len({ray.get(pid.remote()) for _ in range(3)}) == 3
assert len({ray.get(kept.remote()) for _ in range(3)}) == 1

print("done")

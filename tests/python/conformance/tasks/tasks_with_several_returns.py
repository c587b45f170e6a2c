"""Ray's page "Tasks", "Multiple returns": a reference for each of `num_returns` values."""

import ray

ray.init(num_cpus=2)


@ray.remote(num_returns=3)
def several():
    return 0, 1, 2


@ray.remote(num_returns=3)
def yielded():
    yield from range(3)


@ray.remote
def single():
    return 0, 1, 2


for function in (several, yielded):
    a, b, c = function.remote()
    assert ray.get([a, b, c]) == [0, 1, 2]
assert ray.get(single.remote()) == (0, 1, 2)
assert ray.get(single.options(num_returns=3).remote()) == [0, 1, 2]

print("done")

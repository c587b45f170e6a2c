"""Ray's page "Nested Remote Functions": tasks call tasks; one that waits lends its CPU."""

import ray

ray.init(num_cpus=1)


@ray.remote
def f():
    return 1


@ray.remote
def references():
    return [f.remote() for _ in range(4)]


@ray.remote
def values():
    return ray.get([f.remote() for _ in range(4)])


assert ray.get(ray.get(references.remote())) == [1, 1, 1, 1]
assert ray.get(values.remote()) == [1, 1, 1, 1]


@ray.remote
def factorial(n):
    return 1 if n == 0 else n * ray.get(factorial.remote(n - 1))


assert ray.get(factorial.remote(12)) == 479001600

print("done")

"""Ray's page "Anti-pattern: Returning ray.put() ObjectRefs from a task harms performance".

The inner object lives as long as the outer one holds its reference; returning the value is simpler.
"""

import ray

ray.init(num_cpus=2)


@ray.remote
def with_put():
    return ray.put([1] * 1000)


@ray.remote
def without():
    return [1] * 1000


@ray.remote(num_returns=2)
def several():
    return 1, [2] * 1000


outer = with_put.remote()
inner = ray.get(outer)
assert isinstance(inner, ray.ObjectRef)
del outer
assert ray.get(inner) == ray.get(without.remote()) == [1] * 1000
number, values = several.remote()
assert ray.get(number) == 1 and len(ray.get(values)) == 1000

print("done")

"""Ray's page "Objects", "Passing Object Arguments": values at the top level, references below."""

import ray

ray.init(num_cpus=2)


@ray.remote
def kinds(plain, nested):
    return type(plain).__name__, isinstance(nested[0], ray.ObjectRef), ray.get(nested[0])


ref = ray.put(7)
assert ray.get(kinds.remote(ref, [ref])) == ("int", True, 7)

captured = ray.put(8)


@ray.remote
def captures():
    return ray.get(captured)


assert ray.get(captures.remote()) == 8

outer = ray.put([ref])
del ref
assert ray.get(ray.get(outer)[0]) == 7

print("done")

"""Ray's page "Ray Generators": `ray.wait` takes generators; their references are arguments."""

import ray

ray.init(num_cpus=3)


@ray.remote
def numbers(n):
    yield from range(n)


@ray.remote
def double(x):
    return 2 * x


generators = [numbers.remote(3), numbers.remote(5)]
seen = []
while generators:
    ready, generators = ray.wait(generators, num_returns=1, timeout=30)
    for generator in ready:
        try:
            seen.append(ray.get(next(generator)))
            generators.append(generator)
        except StopIteration:
            pass
assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 4]

doubled = [double.remote(ref) for ref in numbers.remote(4)]
assert ray.get(doubled) == [0, 2, 4, 6]
generator = numbers.remote(2)
assert ray.get(generator.completed()) is None
assert [ray.get(ref) for ref in generator] == [0, 1] and generator.is_finished()

print("done")

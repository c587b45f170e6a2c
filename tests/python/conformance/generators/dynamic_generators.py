"""Ray's page "Dynamic generators": `num_returns="dynamic"` gives a reference to references."""

import ray

ray.init(num_cpus=2)


@ray.remote(num_returns="dynamic")
def pieces(values, size):
    while values:
        yield values[:size]
        values = values[size:]


@ray.remote
def lengths(generator):
    return [len(ray.get(ref)) for ref in generator]


ref = pieces.remote(list(range(5)), 2)
generator = ray.get(ref)
assert isinstance(generator, ray.DynamicObjectRefGenerator)
assert [ray.get(piece) for piece in generator] == [[0, 1], [2, 3], [4]]
assert ray.get(lengths.remote(pieces.remote([1, 2, 3], 2))) == [2, 1]

print("done")

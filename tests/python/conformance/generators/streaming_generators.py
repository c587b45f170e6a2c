"""Ray's page "Ray Generators": references come as items are yielded, exceptions at their place."""

import asyncio
import time

import ray

ray.init(num_cpus=2)


@ray.remote
def count(n, fails=False):
    yield from range(n)
    if fails:
        raise ValueError("behind the last")


generator = count.remote(3)
assert isinstance(generator, ray.ObjectRefGenerator)
assert [ray.get(ref) for ref in generator] == [0, 1, 2]

generator = count.remote(1, fails=True)
assert ray.get(next(generator)) == 0
try:
    ray.get(next(generator))
except ValueError:
    pass
else:
    raise AssertionError("the exception did not come")
try:
    next(generator)
except StopIteration:
    pass
else:
    raise AssertionError("something comes after the exception")


@ray.remote
def slow():
    yield 1
    time.sleep(1000)
    yield 2


generator = slow.remote()
assert ray.get(next(generator)) == 1  # before the second is there
ready, others = ray.wait([generator], timeout=0.05)
assert (ready, others) == ([], [generator])
ray.cancel(generator)


async def main():
    return [await ref async for ref in count.remote(3)]


assert asyncio.run(main()) == [0, 1, 2]

print("done")

"""Ray's page "AsyncIO / Concurrency for Actors", "ObjectRefs as asyncio.Futures"."""

import asyncio
import concurrent.futures

import ray

ray.init(num_cpus=2)


@ray.remote
def value(x):
    if x < 0:
        raise ValueError(x)
    return x


async def main():
    assert await value.remote(1) == 1
    assert await asyncio.gather(*[value.remote(i) for i in range(5)]) == [0, 1, 2, 3, 4]
    done, pending = await asyncio.wait([asyncio.ensure_future(_get(value.remote(1)))])
    assert len(done) == 1 and not pending
    try:
        await value.remote(-1)
    except ValueError:
        return
    raise AssertionError("nothing was raised")


async def _get(ref):
    return await ref


asyncio.run(main())
future = value.remote(3).future()
assert isinstance(future, concurrent.futures.Future) and future.result() == 3

print("done")

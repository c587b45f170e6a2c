"""Ray's page "Ray Generators".

Methods of actors with one thread, with threads and with a loop may yield.
"""

import asyncio

import ray


@ray.remote
class Plain:
    def numbers(self, n):
        yield from range(n)


@ray.remote(max_concurrency=2)
class Threads:
    def numbers(self, n):
        yield from range(n)


@ray.remote
class Loop:
    async def numbers(self, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i


async def collect(generator):
    return [await ref async for ref in generator]


ray.init(num_cpus=2)
for cls in (Plain, Threads, Loop):
    actor = cls.remote()
    assert [ray.get(ref) for ref in actor.numbers.remote(4)] == [0, 1, 2, 3]
    assert asyncio.run(collect(actor.numbers.remote(3))) == [0, 1, 2]

print("done")

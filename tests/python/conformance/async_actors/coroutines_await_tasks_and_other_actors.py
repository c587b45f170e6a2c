"""Ray's page "AsyncIO / Concurrency for Actors".

Inside a coroutine, await instead of ray.get.
"""

import asyncio

import ray


@ray.remote(num_cpus=0)
def square(x):
    return x * x


@ray.remote(num_cpus=0)
class Squares:
    async def squares(self, n):
        return await asyncio.gather(*(square.remote(i) for i in range(n)))


@ray.remote(num_cpus=0)
class Total:
    def __init__(self, squares):
        self.squares = squares

    async def total(self, n):
        return sum(await self.squares.squares.remote(n))


ray.init(num_cpus=2)
total = Total.remote(Squares.remote())
assert ray.get([total.total.remote(n) for n in (3, 4, 5)]) == [5, 14, 30]

print("done")

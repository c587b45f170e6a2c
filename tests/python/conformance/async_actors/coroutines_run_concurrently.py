"""Ray's page "AsyncIO / Concurrency for Actors".

Several calls of coroutine methods are in flight at a time.
"""

import asyncio

import ray


@ray.remote
class Rendezvous:
    def __init__(self, expected):
        self.expected = expected
        self.come = 0
        self.all_here = asyncio.Event()

    async def meet(self):
        self.come += 1
        if self.come == self.expected:
            self.all_here.set()
        await self.all_here.wait()
        return self.come


async def with_await(actor):
    return await asyncio.gather(*[actor.meet.remote() for _ in range(4)])


ray.init(num_cpus=1)
assert ray.get([Rendezvous.remote(1).meet.remote()]) == [1]
actor = Rendezvous.remote(100)
assert ray.get([actor.meet.remote() for _ in range(100)]) == [100] * 100
assert asyncio.run(with_await(Rendezvous.remote(4))) == [4] * 4

print("done")

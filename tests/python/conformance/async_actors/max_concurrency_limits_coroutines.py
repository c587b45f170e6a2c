"""Ray's page "AsyncIO / Concurrency for Actors".

max_concurrency is how many coroutines run at a time.
"""

import asyncio

import ray


@ray.remote
class Counts:
    def __init__(self, limit):
        self.limit = limit
        self.now = self.most = 0

    async def work(self):
        self.now += 1
        self.most = max(self.most, self.now)
        while self.most < self.limit:  # the others come
            await asyncio.sleep(0)
        self.now -= 1

    async def found(self):
        return self.most


ray.init(num_cpus=1)
for limit in (1, 3):
    actor = Counts.options(max_concurrency=limit).remote(limit)
    ray.get([actor.work.remote() for _ in range(20)])
    assert ray.get(actor.found.remote()) == limit

print("done")

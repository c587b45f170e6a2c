"""Ray's page "Pattern: Using an actor to synchronize other tasks and actors": a semaphore."""

import asyncio

import ray

ray.init(num_cpus=4)


@ray.remote(num_cpus=0)
class Semaphore:
    def __init__(self, value):
        self.semaphore = asyncio.Semaphore(value)
        self.inside = self.most = 0

    async def acquire(self):
        await self.semaphore.acquire()
        self.inside += 1
        self.most = max(self.most, self.inside)

    async def release(self):
        self.inside -= 1
        self.semaphore.release()

    async def most_at_a_time(self):
        return self.most


@ray.remote
def work(semaphore, i):
    ray.get(semaphore.acquire.remote())
    ray.get(semaphore.release.remote())
    return i


semaphore = Semaphore.remote(2)
assert ray.get([work.remote(semaphore, i) for i in range(40)]) == list(range(40))
assert 1 <= ray.get(semaphore.most_at_a_time.remote()) <= 2

print("done")

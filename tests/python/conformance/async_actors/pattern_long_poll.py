"""Ray's page "Pattern: Using asyncio to run actor methods concurrently".

A method that runs for ever, and questions meanwhile.
"""

import asyncio

import ray


@ray.remote(num_cpus=0)
class Store:
    def __init__(self):
        self.tasks = list(range(50))

    def next(self):
        return self.tasks.pop() if self.tasks else None


@ray.remote(num_cpus=0)
class Executor:
    def __init__(self, store):
        self.store = store
        self.executed = 0

    async def run(self):
        while True:
            task = await self.store.next.remote()
            if task is None:
                await asyncio.sleep(0.001)
            else:
                self.executed += 1

    async def count(self):
        return self.executed


ray.init(num_cpus=2)
executor = Executor.remote(Store.remote())
executor.run.remote()
while ray.get(executor.count.remote()) < 50:
    pass

print("done")

"""Ray's page "Pattern: Using asyncio to run actor methods concurrently".

A loop of its own in a coroutine leaves room for other methods, and is asked to end.
"""

import asyncio

import ray

ray.init(num_cpus=2)


@ray.remote
class Poller:
    def __init__(self):
        self.tasks = asyncio.Queue()
        self.results = {}
        self.ends = False

    async def run(self):
        while not self.ends:
            name = await self.tasks.get()
            self.results[name] = len(name)
            self.ends = name == "last"
        return len(self.results)

    async def add(self, name):
        await self.tasks.put(name)

    async def result(self, name):
        while name not in self.results:
            await asyncio.sleep(0)
        return self.results[name]


poller = Poller.remote()
running = poller.run.remote()
ray.get([poller.add.remote(name) for name in ("a", "bb")])
assert ray.get([poller.result.remote("bb"), poller.result.remote("a")]) == [2, 1]
assert ray.wait([running], timeout=0) == ([], [running])
ray.get(poller.add.remote("last"))
assert ray.get(running) == 3

print("done")

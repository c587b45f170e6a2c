"""Ray's page "Pattern: Using an actor to synchronize other tasks and actors".

Tasks wait for an asyncio.Event in an actor.
"""

import asyncio

import ray


@ray.remote(num_cpus=0)
class Signal:
    def __init__(self):
        self.event = asyncio.Event()
        self.waiting = 0

    def send(self):
        self.event.set()

    async def wait(self):
        self.waiting += 1
        await self.event.wait()

    async def how_many(self):
        return self.waiting


@ray.remote
def wait_and_go(signal):
    ray.get(signal.wait.remote())
    return "went"


ray.init(num_cpus=2)
signal = Signal.remote()
tasks = [wait_and_go.remote(signal) for _ in range(4)]
while ray.get(signal.how_many.remote()) < 4:
    pass
assert ray.wait(tasks, timeout=0.1)[0] == []
ray.get(signal.send.remote())
assert ray.get(tasks) == ["went"] * 4

print("done")

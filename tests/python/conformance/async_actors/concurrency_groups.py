"""Ray's page "Limiting Concurrency Per-Method with Concurrency Groups".

Groups of the class, of a method, of a call; the default group.
"""

import asyncio

import ray


@ray.remote(concurrency_groups={"io": 2, "compute": 4})
class Groups:
    def __init__(self):
        self.now = {}
        self.most = {}

    async def _run(self, group):
        self.now[group] = self.now.get(group, 0) + 1
        self.most[group] = max(self.most.get(group, 0), self.now[group])
        for _ in range(10):
            await asyncio.sleep(0.001)
        self.now[group] -= 1

    @ray.method(concurrency_group="io")
    async def io(self):
        await self._run("io")

    @ray.method(concurrency_group="compute")
    async def compute(self):
        await self._run("compute")

    async def other(self, name="default"):
        await self._run(name)

    async def found(self):
        return self.most


ray.init(num_cpus=1)
actor = Groups.remote()
refs = [method.remote() for method in (actor.io, actor.compute, actor.other) for _ in range(12)]
refs += [actor.other.options(concurrency_group="io").remote("io") for _ in range(4)]
ray.get(refs)
assert ray.get(actor.found.remote()) == {"io": 2, "compute": 4, "default": 12}
try:
    actor.other.options(concurrency_group="gpu")
except ValueError:
    pass
else:
    raise AssertionError("a group that does not exist")

print("done")

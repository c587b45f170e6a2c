"""Ray's page "Actors".

ray.cancel stops coroutines and queued calls; others ask whether they are cancelled.
"""

import asyncio

import ray


@ray.remote
class Loop:
    def __init__(self):
        self.ended = None

    async def forever(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise

    async def how(self):
        return self.ended


@ray.remote
class Plain:
    def until_cancelled(self, started):
        ray.get(started.set.remote())
        while not ray.get_runtime_context().is_canceled():
            pass
        return "stopped"

    def alive(self):
        return True


@ray.remote
class Flag:
    def __init__(self):
        self.event = asyncio.Event()

    async def set(self):
        self.event.set()

    async def wait(self):
        await self.event.wait()


def assert_cancelled(ref):
    try:
        ray.get(ref)
    except ray.exceptions.TaskCancelledError:
        return
    raise AssertionError("the call was not cancelled")


ray.init(num_cpus=2)
loop, plain, started = Loop.remote(), Plain.remote(), Flag.remote()
ref = loop.forever.remote()
ray.get(loop.how.remote())
ray.cancel(ref)
assert_cancelled(ref)
assert ray.get(loop.how.remote()) == "cancelled"

running = plain.until_cancelled.remote(started)
queued = plain.alive.remote()
ray.get(started.wait.remote())
ray.cancel(queued)
assert_cancelled(queued)
ray.cancel(running)
assert_cancelled(running)
try:
    ray.cancel(plain.alive.remote(), force=True)
except ValueError:
    pass
else:
    raise AssertionError("force=True is for tasks")
assert ray.get(plain.alive.remote())

print("done")

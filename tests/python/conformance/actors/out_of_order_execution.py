"""Ray's page "Actor Task Execution Order".

allow_out_of_order_execution, async and threaded actors do not wait for earlier calls.
"""

import ray


class Collects:
    def __init__(self):
        self.items = []

    def add(self, item):
        self.items.append(item)
        return len(self.items)


class CollectsAsync(Collects):
    async def add(self, item):
        return super().add(item)


@ray.remote(num_cpus=0)
class Gate:
    def __init__(self):
        self.open = False

    def unlock(self):
        self.open = True

    def is_open(self):
        return self.open


@ray.remote(num_cpus=0)
def slow(x, gate):
    while not ray.get(gate.is_open.remote()):
        pass
    return x


ray.init(num_cpus=2)
for cls in (
    ray.remote(allow_out_of_order_execution=True)(Collects),
    ray.remote(max_concurrency=2)(Collects),
    ray.remote(CollectsAsync),
):
    actor, gate = cls.remote(), Gate.remote()
    first = actor.add.remote(slow.remote("first", gate))
    assert ray.get(actor.add.remote("second")) == 1
    ray.get(gate.unlock.remote())
    assert ray.get(first) == 2

print("done")

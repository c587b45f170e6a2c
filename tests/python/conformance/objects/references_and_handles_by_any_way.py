"""Ray's pages "Objects" and "Actors": references and handles in data, closures, results, actors."""

import ray

ray.init(num_cpus=2)


@ray.remote
class Counter:
    def __init__(self):
        self.value = 0

    def add(self, n):
        self.value += n
        return self.value


@ray.remote
class Holder:
    def __init__(self, things):
        self.things = things

    def use(self):
        return ray.get(self.things["actor"].add.remote(ray.get(self.things["refs"][0])))

    def give(self):
        return self.things


counter = Counter.remote()
things = {"actor": counter, "refs": [ray.put(5)]}


@ray.remote
def by_argument(things):
    return ray.get(things["actor"].add.remote(ray.get(things["refs"][0])))


def by_closure(things):
    return ray.remote(lambda: ray.get(things["actor"].add.remote(ray.get(things["refs"][0]))))


holder = Holder.remote(things)
calls = [
    lambda: by_argument.remote(things),
    lambda: by_closure(things).remote(),
    lambda: holder.use.remote(),
    lambda: by_argument.remote(holder.give.remote()),
    lambda: by_argument.remote(ray.put(things)),
    lambda: by_argument.remote(ray.get(holder.give.remote())),
]
assert [ray.get(call()) for call in calls] == [5, 10, 15, 20, 25, 30]

print("done")

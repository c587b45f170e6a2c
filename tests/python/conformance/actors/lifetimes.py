"""Ray's page "Named Actors".

An actor ends with its last handle, a detached one lives until it is killed.
"""

import ray


@ray.remote
class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1
        return self.value


def exists(name):
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True


@ray.remote
def make(name, lifetime):
    counter = Counter.options(name=name, lifetime=lifetime).remote()
    return ray.get(counter.increment.remote())


ray.init(num_cpus=2)
assert ray.get([make.remote("short", None), make.remote("long", "detached")]) == [1, 1]
while exists("short"):
    pass
counter = ray.get_actor("long")
assert ray.get(counter.increment.remote()) == 2
ray.kill(counter)
while exists("long"):
    pass

print("done")

"""Ray's page "Fault tolerance".

A caller tries again after exceptions and after the end of the actor.
"""

import random
import sys

import ray


@ray.remote(max_restarts=-1)
class Unreliable:
    def __init__(self):
        self.chance = random.Random()

    def read(self):
        x = self.chance.random()
        if x < 0.2:
            return 2 / 0
        if x < 0.3:
            sys.exit(1)
        return 2


ray.init(num_cpus=1)
actor = Unreliable.remote()
for _ in range(50):
    while True:
        try:
            assert ray.get(actor.read.remote()) == 2
            break
        except (ZeroDivisionError, ray.exceptions.RayActorError):
            continue

print("done")

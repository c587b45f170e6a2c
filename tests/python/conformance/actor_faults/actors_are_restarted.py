"""Ray's page "Actor Fault Tolerance".

max_restarts; the constructor runs again, then RayActorError.
"""

import os

import ray


@ray.remote(max_restarts=3, max_task_retries=-1)
class Crashes:
    def __init__(self):
        self.calls = 0

    def call(self):
        if self.calls == 5:
            os._exit(1)
        self.calls += 1
        return self.calls


ray.init(num_cpus=1)
actor = Crashes.remote()
# Four lives of five calls each, and the sixth call of a life ends it and is run again.
assert [ray.get(actor.call.remote()) for _ in range(20)] == [1, 2, 3, 4, 5] * 4
for _ in range(3):
    try:
        ray.get(actor.call.remote())
    except ray.exceptions.RayActorError:
        continue
    raise AssertionError("a fourth restart")

print("done")

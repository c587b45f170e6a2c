"""Ray's page "Terminating Actors".

ray.kill(no_restart=False) restarts the actor; by default it is final.
"""

import os

import ray


@ray.remote(max_restarts=1, max_task_retries=-1)
class Process:
    def pid(self):
        return os.getpid()


ray.init(num_cpus=1)
actor = Process.remote()
first = ray.get(actor.pid.remote())
ray.kill(actor, no_restart=False)
assert ray.get(actor.pid.remote()) != first
ray.kill(actor)
try:
    ray.get(actor.pid.remote())
except ray.exceptions.ActorDiedError:
    pass
else:
    raise AssertionError("it lives")

print("done")

"""Ray's page "Tasks", "Cancelling tasks": the task ends, and `get` says so."""

import time

import ray

ray.init(num_cpus=1)


@ray.remote
def blocking():
    time.sleep(10_000)


running, queued = blocking.remote(), blocking.remote()
for ref in (queued, running):
    ray.cancel(ref)
    try:
        ray.get(ref)
    except ray.exceptions.TaskCancelledError:
        pass
    else:
        raise AssertionError("the task was not cancelled")


@ray.remote
def outer():
    return ray.get(blocking.remote())


ref = outer.remote()
ray.wait([ref], timeout=0.3)
ray.cancel(ref, recursive=True)
try:
    ray.get(ref)
except ray.exceptions.RayError:
    pass


@ray.remote
def quick():
    return 1


assert ray.get(quick.remote(), timeout=30) == 1  # what it had started is gone too

print("done")

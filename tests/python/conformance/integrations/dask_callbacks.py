"""Ray's page "Using Dask on Ray", callbacks: timing tasks, and caching results."""

from timeit import default_timer as timer

import dask
import ray
from ray.util.dask import RayDaskCallback, ray_dask_get

ray.init(num_cpus=2)


@dask.delayed
def add(x, y):
    return x + y


@ray.remote
class SimpleCallbackActor:
    def __init__(self):
        self.durations = {}

    def note(self, key, duration):
        self.durations[key] = duration

    def count(self):
        return len(self.durations)


class TimerCallback(RayDaskCallback):
    def __init__(self, actor):
        super().__init__()
        self.actor = actor

    def _ray_pretask(self, key, object_refs):
        return timer()

    def _ray_posttask(self, key, result, pre_state):
        ray.get(self.actor.note.remote(key, timer() - pre_state))


actor = SimpleCallbackActor.remote()
with TimerCallback(actor):
    assert add(add(1, 2), add(3, 4)).compute(scheduler=ray_dask_get) == 10
assert ray.get(actor.count.remote()) == 3


class CacheCallback(RayDaskCallback):
    def __init__(self):
        super().__init__()
        self.cache = {}
        self.hits = 0

    def _ray_presubmit(self, task, key, deps):
        found = self.cache.get(str(key))
        self.hits += found is not None
        return found

    def _ray_postsubmit(self, task, key, deps, object_ref):
        self.cache[str(key)] = object_ref


z = add(2, 3)
with CacheCallback() as callback:
    assert z.compute(scheduler=ray_dask_get) == 5
    assert callback.hits == 0
    assert z.compute(scheduler=ray_dask_get) == 5
    assert callback.hits == 1
    callback.cache.clear()
print("done")

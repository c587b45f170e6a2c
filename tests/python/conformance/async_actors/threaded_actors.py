"""Ray's page "AsyncIO / Concurrency for Actors".

max_concurrency of a class without coroutines gives threads.
"""

import threading

import ray


@ray.remote
class Threads:
    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)

    def meet(self):
        self.barrier.wait(timeout=30)
        return threading.get_ident()


ray.init(num_cpus=1)
actor = Threads.options(max_concurrency=3).remote(3)
assert len(set(ray.get([actor.meet.remote() for _ in range(3)]))) == 3

print("done")

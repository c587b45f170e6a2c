"""Ray's page "Utility Classes", queue: data between tasks and actors."""

import ray
from ray.util.queue import Empty, Queue

ray.init(num_cpus=2)
# You can pass this object around to different tasks/actors
queue = Queue(maxsize=100)


@ray.remote
def consumer(id, queue):
    taken = 0
    try:
        while True:
            queue.get(block=True, timeout=0.2)
            taken += 1
    except Empty:
        return taken


[queue.put(i) for i in range(10)]
consumers = [consumer.remote(id, queue) for id in range(2)]
assert sum(ray.get(consumers)) == 10
print("done")

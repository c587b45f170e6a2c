"""Ray's page "Pattern: Using pipelining to increase throughput".

Workers ask for the next piece of work before they have finished the last.
"""

import ray


@ray.remote(num_cpus=0)
class Queue:
    def __init__(self, items):
        self.items = list(items)

    def next(self):
        return self.items.pop(0) if self.items else None


@ray.remote(num_cpus=0)
class Worker:
    def __init__(self, queue):
        self.queue = queue

    def run(self):
        done = []
        upcoming = self.queue.next.remote()
        while (item := ray.get(upcoming)) is not None:
            upcoming = self.queue.next.remote()
            done.append(item * item)
        return done


ray.init(num_cpus=2)
queue = Queue.remote(range(100))
workers = [Worker.remote(queue) for _ in range(3)]
results = ray.get([worker.run.remote() for worker in workers])
assert sorted(x for result in results for x in result) == [x * x for x in range(100)]

print("done")

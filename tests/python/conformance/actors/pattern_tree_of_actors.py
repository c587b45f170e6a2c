"""Ray's page "Pattern: Using a supervisor actor to manage a tree of actors".

A supervisor makes, uses and loses its workers.
"""

import ray


@ray.remote(num_cpus=0)
class Trainer:
    def __init__(self, rate, shard):
        self.rate, self.shard = rate, shard

    def fit(self):
        return sum(self.shard) * self.rate


@ray.remote(num_cpus=0)
class Supervisor:
    def __init__(self, rate, shards):
        self.trainers = [Trainer.remote(rate, shard) for shard in shards]

    def fit(self):
        return ray.get([trainer.fit.remote() for trainer in self.trainers])


ray.init(num_cpus=2)
shards = [[1, 2], [3, 4], [5]]
supervisors = {rate: Supervisor.remote(rate, shards) for rate in (1, 10)}
results = ray.get([supervisor.fit.remote() for supervisor in supervisors.values()])
assert results == [[3, 7, 5], [30, 70, 50]]

print("done")

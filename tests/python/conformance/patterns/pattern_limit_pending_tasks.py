"""Ray's page "Pattern: Using ray.wait to limit the number of pending tasks"."""

import ray

ray.init(num_cpus=2)
LIMIT = 10


@ray.remote
def double(x):
    return 2 * x


pending, results = [], []
for i in range(200):
    if len(pending) > LIMIT:
        ready, pending = ray.wait(pending, num_returns=1)
        results += ray.get(ready)
    pending.append(double.remote(i))
results += ray.get(pending)
assert sorted(results) == [2 * i for i in range(200)]

print("done")

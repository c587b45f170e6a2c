"""Ray's page "Anti-pattern: Processing results in submission order using ray.get".

With ray.wait those that are ready first come first.
"""

import os
import tempfile

import ray

ray.init(num_cpus=3)
gate = os.path.join(tempfile.mkdtemp(), "open")


@ray.remote
def work(i):
    while i == 0 and not os.path.exists(gate):
        pass
    return i


pending = [work.remote(i) for i in range(5)]
order = []
while pending:
    (ready,), pending = ray.wait(pending, num_returns=1)
    order.append(ray.get(ready))
    if len(order) == 4:
        open(gate, "w").close()
assert order[-1] == 0 and sorted(order) == list(range(5))

print("done")

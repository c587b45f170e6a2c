"""Ray's page "Pattern: Using ray.wait to limit the number of pending tasks".

And max_pending_calls, which refuses more.
"""

import ray


@ray.remote
class Squares:
    def square(self, x):
        return x * x


@ray.remote(num_cpus=0)
class Gate:
    def __init__(self):
        self.open = False

    def unlock(self):
        self.open = True

    def is_open(self):
        return self.open


@ray.remote(max_pending_calls=2)
class Limited:
    def wait(self, gate):
        while not ray.get(gate.is_open.remote()):
            pass


ray.init(num_cpus=2)
squares = Squares.remote()
results, pending = [], []
for x in range(200):
    if len(pending) >= 10:
        ready, pending = ray.wait(pending, num_returns=1)
        results += ray.get(ready)
    pending.append(squares.square.remote(x))
results += ray.get(pending)
assert sorted(results) == [x * x for x in range(200)]

gate, limited = Gate.remote(), Limited.remote()
refs = [limited.wait.remote(gate) for _ in range(2)]
try:
    limited.wait.remote(gate)
except ray.exceptions.PendingCallsLimitExceeded:
    pass
else:
    raise AssertionError("a third call was taken")
ray.get(gate.unlock.remote())
ray.get(refs)
ray.get(limited.wait.remote(gate))

print("done")

"""Ray's page "ray.remote": it may be called with a function or a class, with options, later."""

import ray


def add(a, b=1):
    return a + b


class Counter:
    def __init__(self, start):
        self.value = start

    def add(self, n):
        self.value += n
        return self.value


remote_add = ray.remote(add)
twice = ray.remote(num_returns=2)(lambda x: (x, x))
RemoteCounter = ray.remote(num_cpus=0)(Counter)
assert add(1) == 2  # the function is as it was

assert not ray.is_initialized()
assert ray.get(remote_add.remote(1, b=2)) == 3  # the first call starts the runtime
assert ray.is_initialized()
assert ray.get(twice.remote("x")) == ["x", "x"]
counter = RemoteCounter.remote(10)
assert ray.get([counter.add.remote(1), counter.add.remote(2)]) == [11, 13]
assert Counter(1).add(1) == 2

print("done")

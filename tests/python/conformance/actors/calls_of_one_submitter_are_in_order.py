"""Ray's page "Actor Task Execution Order".

Those of one submitter keep their order, also behind an argument that is not ready.
"""

import ray


@ray.remote
class Sum:
    def __init__(self):
        self.value = 0

    def add(self, x):
        self.value += x
        return self.value


@ray.remote(num_cpus=0)
class Gate:
    def __init__(self):
        self.open = False

    def unlock(self):
        self.open = True

    def is_open(self):
        return self.open


@ray.remote(num_cpus=0)
def slow(x, gate):
    while not ray.get(gate.is_open.remote()):
        pass
    return x


@ray.remote(num_cpus=0)
def from_elsewhere(sum_, x):
    return ray.get(sum_.add.remote(x))


ray.init(num_cpus=2)
sum_, gate = Sum.remote(), Gate.remote()
assert ray.get([sum_.add.remote(1), sum_.add.remote(2)]) == [1, 3]
first = sum_.add.remote(slow.remote(10, gate))  # waits, and holds back the next one
second = sum_.add.remote(100)
assert ray.get(from_elsewhere.remote(sum_, 1000)) == 1003  # but not that of another submitter
ray.get(gate.unlock.remote())
assert ray.get([first, second]) == [1013, 1113]

print("done")

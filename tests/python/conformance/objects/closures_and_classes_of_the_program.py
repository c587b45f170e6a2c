"""Ray's page "Serialization": functions and classes of the program itself travel by value."""

import dataclasses

import ray

ray.init(num_cpus=2)
FACTOR = 3


@dataclasses.dataclass
class Point:
    x: int

    def scaled(self):
        return Point(self.x * FACTOR)


@ray.remote
def scale(point):
    return point.scaled()


result = ray.get(scale.remote(Point(2)))
assert isinstance(result, Point) and result == Point(6)
assert ray.get(ray.remote(lambda x: x * FACTOR).remote(4)) == 12


class Connection:
    def __init__(self, address):
        import threading

        self.address, self.lock = address, threading.Lock()

    def __reduce__(self):
        return Connection, (self.address,)


assert ray.get(ray.put(Connection("a"))).address == "a"

try:
    ray.put(Connection("a").lock)
except TypeError as error:
    assert "lock" in str(error)
else:
    raise AssertionError("a lock was pickled")

print("done")

"""Ray's page "Actor Fault Tolerance".

An exception is the result of its call, and can be caught by its type.
"""

import ray


class Refused(Exception):
    pass


@ray.remote
class Door:
    def __init__(self):
        self.knocks = 0

    def knock(self, name):
        self.knocks += 1
        if name == "stranger":
            raise Refused(name)
        return self.knocks


ray.init(num_cpus=1)
door = Door.remote()
try:
    ray.get(door.knock.remote("stranger"))
except Refused as error:
    assert isinstance(error, ray.exceptions.RayTaskError)
    assert isinstance(error.cause, Refused)
else:
    raise AssertionError("the stranger came in")
assert ray.get(door.knock.remote("friend")) == 2

print("done")

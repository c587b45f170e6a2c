"""Ray's page "Actor Fault Tolerance".

An actor dies with the actor that made it; a detached one does not.
"""

import os

import ray


@ray.remote(num_cpus=0)
class Child:
    def ping(self):
        return "pong"


@ray.remote(num_cpus=0)
class Parent:
    def make(self):
        self.own = Child.remote()
        self.detached = Child.options(name="detached", lifetime="detached").remote()
        return ray.get([self.own.ping.remote(), self.detached.ping.remote()]), self.own

    def crash(self):
        os._exit(1)


ray.init(num_cpus=2)
parent = Parent.remote()
pongs, own = ray.get(parent.make.remote())
assert pongs == ["pong", "pong"] and ray.get(own.ping.remote()) == "pong"
try:
    ray.get(parent.crash.remote())
except ray.exceptions.RayActorError:
    pass
while True:
    try:
        ray.get(own.ping.remote())
    except ray.exceptions.RayActorError:
        break
detached = ray.get_actor("detached")
assert ray.get(detached.ping.remote()) == "pong"
ray.kill(detached)

print("done")

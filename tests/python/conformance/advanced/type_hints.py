"""Ray's page "Type hints in Ray": the spellings that type checkers know run as the others do."""

from dataclasses import dataclass

import ray
from ray import ObjectRef
from ray.actor import ActorClass, ActorHandle, ActorProxy

ray.init(num_cpus=2)


@ray.remote
def add(x: int, y: int) -> int:
    return x + y


class Demo:
    def __init__(self, init: int):
        self.init = init

    @ray.method
    def calculate(self, v1: int, v2: int) -> int:
        return self.init + v1 + v2

    @ray.method(num_returns=1)
    def only(self) -> int:
        return self.init


@dataclass
class Pair:
    ref: ObjectRef[int]
    actor: ActorProxy[Demo]
    handle: ActorHandle[Demo]


RemoteDemo: ActorClass[Demo] = ray.remote(Demo)
actor: ActorProxy[Demo] = RemoteDemo.remote(1)
pair = Pair(add.remote(1, 2), actor, actor)
assert ray.get(pair.ref) == 3
assert ray.get(pair.actor.calculate.remote(1, 2)) == 4
assert ray.get(pair.handle.only.remote()) == 1

print("done")

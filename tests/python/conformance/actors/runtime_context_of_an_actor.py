"""Ray's page "Runtime Context".

Ids, names and the handle of the actor in which the code runs.
"""

import ray


@ray.remote
class Knows:
    def itself(self):
        context = ray.get_runtime_context()
        return context.get_actor_id(), context.get_actor_name(), context.namespace

    def handle(self):
        return ray.get_runtime_context().current_actor

    def call_itself(self):
        return ray.get_runtime_context().current_actor.itself.remote()


ray.init(num_cpus=1, namespace="here")
knows = Knows.options(name="sage").remote()
identity = ray.get(knows.itself.remote())
assert identity == (knows._actor_id.hex(), "sage", "here")
assert ray.get(ray.get(knows.call_itself.remote())) == identity
assert ray.get(knows.handle.remote()) == knows
assert ray.get_runtime_context().get_actor_id() is None

print("done")

"""Ray's page "Resources": quantities are logical; parts of one, memory, and what is free now."""

import ray

ray.init(num_cpus=2, resources={"disk": 1.5}, object_store_memory=100 << 20)


@ray.remote(num_cpus=0.25, resources={"disk": 0.5}, memory=50 << 20)
def mine():
    held = ray.get_runtime_context().get_assigned_resources()
    return held, ray.available_resources()


held, free = ray.get(mine.remote())
assert held["CPU"] == 0.25 and held["disk"] == 0.5 and held["memory"] == 50 << 20
assert free["disk"] <= 1.0 and free["CPU"] <= 1.75


@ray.remote(num_cpus=1)
class Holds:
    def held(self):
        return ray.get_runtime_context().get_assigned_resources()["CPU"]


actor = Holds.remote()
assert ray.get(actor.held.remote()) == 1.0
assert ray.available_resources()["CPU"] == 1.0
assert ray.cluster_resources()["disk"] == 1.5 and len(ray.nodes()) == 1

print("done")

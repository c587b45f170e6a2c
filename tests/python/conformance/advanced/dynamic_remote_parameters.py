"""Ray's page "Miscellaneous Topics", "Dynamic Remote Parameters": options of one call."""

import ray

ray.init(num_cpus=4, resources={"special": 1})


@ray.remote(num_cpus=4)
def plain():
    return ray.get_runtime_context().get_assigned_resources()


@ray.remote(num_cpus=2)
class Actor:
    def held(self):
        return ray.get_runtime_context().get_assigned_resources()


assert ray.get(plain.options(num_cpus=1, num_returns=1).remote())["CPU"] == 1.0
small = plain.options(num_cpus=0.5, resources={"special": 1})
assert ray.get(small.remote())["special"] == 1.0
assert ray.get(plain.remote())["CPU"] == 4.0  # the decorator's own
actor = Actor.options(num_cpus=1, name="actor").remote()
assert ray.get(ray.get_actor("actor").held.remote())["CPU"] == 1.0

print("done")

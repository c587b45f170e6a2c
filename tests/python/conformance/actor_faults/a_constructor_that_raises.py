"""Ray's page "Actor Fault Tolerance".

Every call raises RayActorError with the traceback of the constructor.
"""

import ray


@ray.remote(max_restarts=2)
class Broken:
    def __init__(self, value):
        raise ValueError(f"cannot use {value}")

    def work(self):
        return 1


ray.init(num_cpus=1)
broken = Broken.remote(7)
for _ in range(2):
    try:
        ray.get(broken.work.remote())
    except ray.exceptions.ActorDiedError as error:
        assert isinstance(error, ray.exceptions.RayActorError)
        assert "ValueError: cannot use 7" in str(error)
    else:
        raise AssertionError("it was made")

print("done")

"""Ray's page "Scheduling": "DEFAULT" and "SPREAD" are strategies of tasks and actors."""

import ray

ray.init(num_cpus=2)


@ray.remote(scheduling_strategy="SPREAD")
def spread(i):
    return i


@ray.remote(scheduling_strategy="SPREAD", num_cpus=0)
class Spread:
    def ready(self):
        return True


assert ray.get([spread.remote(i) for i in range(5)]) == list(range(5))
assert ray.get(spread.options(scheduling_strategy="DEFAULT").remote(7)) == 7
assert all(ray.get([Spread.remote().ready.remote() for _ in range(3)]))
try:
    spread.options(scheduling_strategy="CLOSE")
except (ValueError, TypeError) as error:
    assert "CLOSE" in str(error)
else:
    raise AssertionError("there is no such strategy")

print("done")

"""Ray's page "Task Fault Tolerance": what a task raises comes out of `get`."""

import ray
from ray.exceptions import RayError, RayTaskError

ray.init(num_cpus=2)


class Special(Exception):
    pass


@ray.remote
def fail():
    raise Special("the reason")


@ray.remote
def depends(value):
    return value


for ref in (fail.remote(), depends.remote(fail.remote())):
    try:
        ray.get(ref)
    except Special as error:
        assert isinstance(error, RayTaskError) and isinstance(error, RayError)
        assert "the reason" in str(error) and "fail" in str(error)
    else:
        raise AssertionError("nothing was raised")


try:
    ray.get(fail.remote())
except RayTaskError as error:
    assert isinstance(error.cause, Special)

print("done")

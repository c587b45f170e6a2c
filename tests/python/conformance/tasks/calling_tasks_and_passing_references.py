"""Ray's page "Tasks": a call returns a reference at once; a reference as argument is its value."""

import os
import tempfile

import ray

ray.init(num_cpus=2)


@ray.remote
def one():
    return 1


@ray.remote
def plus_one(value):
    return value + 1


@ray.remote
def ends_after(path):
    while not os.path.exists(path):
        pass
    return "late"


path = os.path.join(tempfile.mkdtemp(), "called")
late = ends_after.remote(path)
assert isinstance(late, ray.ObjectRef)
assert ray.get(plus_one.remote(plus_one.remote(one.remote()))) == 3
open(path, "w").close()
assert ray.get(late) == "late"

try:
    one()
except TypeError as error:
    assert "one.remote()" in str(error)
else:
    raise AssertionError("a remote function was called directly")

print("done")

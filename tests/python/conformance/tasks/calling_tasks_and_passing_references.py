"""Ray's page "Tasks": a call returns a reference at once; a reference as argument is its value."""

import time

import ray

ray.init(num_cpus=2)


@ray.remote
def one():
    return 1


@ray.remote
def plus_one(value):
    return value + 1


@ray.remote
def slow():
    time.sleep(0.5)
    return "late"


began = time.monotonic()
late = slow.remote()
assert isinstance(late, ray.ObjectRef)
assert time.monotonic() - began < 0.4
assert ray.get(plus_one.remote(plus_one.remote(one.remote()))) == 3
assert ray.get(late) == "late"

try:
    one()
except TypeError as error:
    assert "one.remote()" in str(error)
else:
    raise AssertionError("a remote function was called directly")

print("done")

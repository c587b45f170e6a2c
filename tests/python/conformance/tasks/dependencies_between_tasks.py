"""Ray's page "Tasks": a graph of tasks runs in the order of its edges."""

import ray

ray.init(num_cpus=2)


@ray.remote
def leaf(i):
    return [i]


@ray.remote
def join(left, right):
    return left + right


refs = [leaf.remote(i) for i in range(16)]
while len(refs) > 1:
    refs = [join.remote(a, b) for a, b in zip(refs[::2], refs[1::2])]
assert ray.get(refs[0]) == list(range(16))


@ray.remote
def fail():
    raise ValueError("at the bottom")


try:
    ray.get(join.remote(leaf.remote(1), join.remote(fail.remote(), leaf.remote(2))))
except ValueError as error:
    assert "at the bottom" in str(error)
else:
    raise AssertionError("an error below was lost")

print("done")

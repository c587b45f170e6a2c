"""Ray's page "Anti-pattern: Redefining the same remote function or class harms performance"."""

import ray

ray.init(num_cpus=2)


def make(i):
    @ray.remote
    def f():
        return i

    return f


assert ray.get([make(i).remote() for i in range(30)]) == list(range(30))

print("done")

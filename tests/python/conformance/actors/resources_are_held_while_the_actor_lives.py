"""Ray's page "Actors".

An actor that names its resources holds them until it ends; others wait.
"""

import ray


@ray.remote(num_cpus=2, resources={"licence": 1})
class Solver:
    def solve(self, x):
        return -x


ray.init(num_cpus=4, resources={"licence": 1})
first = Solver.remote()
assert ray.get(first.solve.remote(1)) == -1
assert ray.available_resources()["CPU"] == 2
assert "licence" not in ray.available_resources()
second = Solver.remote()
answer = second.solve.remote(2)
assert ray.wait([answer], timeout=0.3) == ([], [answer])
del first
assert ray.get(answer) == -2
unlimited = [Solver.options(num_cpus=0, resources={}).remote() for _ in range(5)]
assert ray.get([solver.solve.remote(3) for solver in unlimited]) == [-3] * 5

print("done")

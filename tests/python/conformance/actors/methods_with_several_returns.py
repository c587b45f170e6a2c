"""Ray's page "Actors".

ray.method(num_returns=...) and handle.method.options(num_returns=...).
"""

import ray


@ray.remote
class Divider:
    @ray.method(num_returns=2)
    def divide(self, a, b):
        return a // b, a % b

    def pair(self):
        return 1, 2

    @ray.method(num_returns=0)
    def forget(self):
        return None


ray.init(num_cpus=1)
divider = Divider.remote()
quotient, rest = divider.divide.remote(17, 5)
assert ray.get([quotient, rest]) == [3, 2]
assert ray.get(divider.pair.remote()) == (1, 2)
assert ray.get(divider.pair.options(num_returns=2).remote()) == [1, 2]
assert divider.forget.remote() is None
try:
    ray.method(returns=2)
except (ValueError, AssertionError):
    pass
else:
    raise AssertionError("ray.method took an option that it does not have")

print("done")

"""Ray's page "Actors": static and class methods, and those that the class inherits."""

import ray

ray.init(num_cpus=2)


class Base:
    def hello(self):
        return "base"


@ray.remote
class Derived(Base):
    LIMIT = 3

    @staticmethod
    def double(x):
        return 2 * x

    @classmethod
    def limit(cls):
        return cls.LIMIT

    def hello(self):
        return super().hello() + ", derived"


derived = Derived.remote()
assert ray.get(derived.hello.remote()) == "base, derived"
assert ray.get(derived.double.remote(4)) == 8 and ray.get(derived.limit.remote()) == 3
assert Derived.double(4) == 8

print("done")

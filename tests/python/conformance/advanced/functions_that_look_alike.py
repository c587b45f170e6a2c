"""Ray's page "Miscellaneous Topics", "Overloaded functions": one name, wrappers that tell apart."""

import ray

ray.init(num_cpus=2)


def area(*sides):
    return sides[0] ** 2 if len(sides) == 1 else sides[0] * sides[1]


@ray.remote
def square(side):
    return area(side)


@ray.remote
def rectangle(width, height):
    return area(width, height)


assert ray.get([square.remote(3), rectangle.remote(2, 5)]) == [9, 10]

print("done")

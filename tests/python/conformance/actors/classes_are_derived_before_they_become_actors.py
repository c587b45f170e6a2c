"""Ray's page "Actors".

Actor classes cannot be derived from; plain classes can, and static methods are callable.
"""

import ray


class Shape:
    def __init__(self, name):
        self.name = name

    def describe(self):
        return f"{self.name} of area {self.area()}"

    @staticmethod
    def unit():
        return "cm2"


@ray.remote
class Square(Shape):
    def __init__(self, side):
        super().__init__("square")
        self.side = side

    def area(self):
        return self.side**2


ray.init(num_cpus=1)
square = Square.remote(3)
assert ray.get(square.describe.remote()) == "square of area 9"
assert ray.get(square.unit.remote()) == Square.unit() == "cm2"
try:

    class Cube(Square):
        pass

except TypeError as error:
    assert "Inheriting from actor classes is not currently supported" in str(error)
else:
    raise AssertionError("an actor class was derived from")

print("done")

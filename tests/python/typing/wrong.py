"""Calls that a type checker refuses: in each line that ends with "wrong", and in no other."""

from __future__ import annotations

import bolide as ray


@ray.remote
def area(width: float, height: float = 1.0, *, scale: int = 1) -> float:
    return width * height * scale


@ray.remote
def nothing(text: str) -> None:
    return None


class Counter:
    @ray.method
    def add(self, n: int = 1) -> int:
        return n


counter = ray.remote(Counter).remote()

area.remote("bad")  # wrong
area.remote()  # wrong
area.remote(1.0, 2.0, 3.0)  # wrong
area.remote(1.0, depth=2.0)  # wrong
area.remote(1.0, scale="big")  # wrong


def after() -> None:
    text: str = ray.get(area.remote(1.0))  # wrong
    refs: list[ray.ObjectRef[str]] = [area.remote(1.0)]  # wrong
    counter.add.remote("one")  # wrong
    counter.subtract.remote(1)  # wrong
    counter.add.options(name="a").remote("1")  # wrong
    ray.get(5)  # wrong
    ray.get([1, 2])  # wrong
    ray.wait(area.remote(1.0))  # wrong
    print(text, refs)

"""Typed programs. `reveal_type` comments say what a type checker finds; see test_typing.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import reveal_type

import bolide as ray
from bolide.actor import ActorClass, ActorProxy


@ray.remote
def area(width: float, height: float = 1.0, *, scale: int = 1) -> float:
    return width * height * scale


@ray.remote(max_retries=2, num_cpus=0.5)
def shout(text: str) -> str:
    return text.upper()


@ray.remote
def nothing() -> None:
    return None


@ray.remote
def count(n: int) -> Iterator[int]:
    yield from range(n)


@ray.remote(num_returns=2)
def halves(x: int) -> tuple[int, int]:
    return x // 2, x - x // 2


reveal_type(area.remote(1.0))  # ObjectRef[float]
reveal_type(area.remote(1.0, height=2.0, scale=3))  # ObjectRef[float]
reveal_type(ray.get(area.remote(2.0, 3.0)))  # float
reveal_type(ray.get([shout.remote("a"), shout.remote("b")]))  # list[str]
reveal_type(ray.get(nothing.remote()))  # None
reveal_type(shout.options(name="x").remote("a"))  # ObjectRef[str]

# A reference stands for its value.
reveal_type(area.remote(area.remote(1.0), 2.0))  # ObjectRef[float]
reveal_type(area.remote(1.0, area.remote(1.0)))  # ObjectRef[float]

stored = ray.put({"a": 1})
reveal_type(stored)  # ObjectRef[dict[str, int]]
reveal_type(ray.get(stored))  # dict[str, int]
ready, rest = ray.wait([shout.remote("a")], timeout=1)
reveal_type(ready)  # list[ObjectRef[str]]

items = count.remote(3)
reveal_type(items)  # ObjectRefGenerator[int]
for item in items:
    reveal_type(item)  # ObjectRef[int]
    reveal_type(ray.get(item))  # int

low, high = halves.remote(7)  # a list of two references: not known to a checker


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    @ray.method
    def add(self, n: int = 1) -> int:
        self.value += n
        return self.value

    @ray.method(concurrency_group="io")
    async def read(self, path: str) -> bytes:
        return path.encode()

    @ray.method
    def items(self, n: int) -> Iterator[str]:
        yield str(self.add(n))

    @ray.method
    async def later(self, n: int) -> AsyncIterator[float]:
        yield float(n)

    @ray.method(num_returns=2)
    def both(self) -> tuple[int, int]:
        return self.value, self.value


RemoteCounter = ray.remote(Counter)
reveal_type(RemoteCounter)  # ActorClass[Counter]
counter: ActorProxy[Counter] = RemoteCounter.options(name="c").remote(5)
reveal_type(counter.add.remote())  # ObjectRef[int]
reveal_type(ray.get(counter.add.remote(n=2)))  # int
reveal_type(ray.get(counter.read.remote("a")))  # bytes
reveal_type(counter.items.remote(2))  # ObjectRefGenerator[str]
reveal_type(counter.later.remote(2))  # ObjectRefGenerator[float]
reveal_type(counter.add.remote(area.remote(1.0)))  # ObjectRef[int]
reveal_type(counter.add.options(name="a").remote(2))  # ObjectRef[int]
pair = counter.both.remote()


async def main() -> float:
    async for ref in count.remote(2):
        reveal_type(await ref)  # int
    reveal_type(await area.remote(1.0))  # float
    return await area.remote(1.0)


def annotated(refs: list[ray.ObjectRef[int]], cls: ActorClass[Counter]) -> int:
    return sum(ray.get(refs)) + ray.get(cls.remote().add.remote(1))


found = ray.get_actor("c")
ray.get(found.anything.remote(1))
ray.kill(counter)

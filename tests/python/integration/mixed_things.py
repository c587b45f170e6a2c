"""What the programs of test_mixed_operations.py call, and what they say of it. Not a test."""

from __future__ import annotations

import functools
import os
import signal
from dataclasses import dataclass, field
from typing import Any

import bolide

LARGE = 20_000  # an array of so many items lies in the store


class Failed:
    """The model's value of a reference whose task raised."""


@dataclass
class ActorModel:
    """What a program says of an actor; all of its handles have the same."""

    base: int
    age: int  # an actor may keep and call older ones only, so that there is no cycle of handles
    name: str | None = None
    can_restart: bool = False
    dead: bool = False
    kept: list[Any] = field(default_factory=list)


# ---- what carries a reference and a handle


@dataclass
class Pair:
    """Also compared with its own pickled form: nothing of it is a tuple or a list."""

    ref: Any
    handle: Any

    def both(self):
        return self.ref, self.handle


class Reduced(Pair):
    def __reduce__(self):
        return Reduced, (self.ref, self.handle)


class Carried(Exception):
    """An exception with a reference and a handle."""

    def both(self):
        return self.args


def _instance_of_a_local_class(ref, handle):
    """Only the instance has them: a class is a cycle, and so stays until its worker collects."""

    class Local(Pair):
        pass

    return Local(ref, handle)


# Each gives what `unpacked` reads again.
SHAPES = {
    "tuple": lambda ref, handle: ((ref, handle),),
    "dict": lambda ref, handle: {"ref": {1: [ref]}, "handle": (handle,)},
    "dataclass": Pair,
    "with __reduce__": Reduced,
    "exception": Carried,
    "closure": lambda ref, handle: lambda: (ref, handle),
    "default values": lambda ref, handle: lambda ref=ref, handle=handle: (ref, handle),
    "partial": lambda ref, handle: functools.partial(lambda *both: both, ref, handle),
    "bound method": lambda ref, handle: Pair(ref, handle).both,
    "local class": _instance_of_a_local_class,
    "in the store": lambda ref, handle: bolide.put(Pair(ref, handle)),
    "deep in the store": lambda ref, handle: bolide.put([bolide.put({"x": Pair(ref, handle)})]),
}


def unpacked(shape):
    """The reference and the handle in one of SHAPES."""
    while isinstance(shape, bolide.ObjectRef):
        shape = bolide.get(shape)
    if isinstance(shape, list):
        return unpacked(bolide.get(shape[0])["x"])
    if isinstance(shape, tuple):
        return shape[0]
    if isinstance(shape, dict):
        return shape["ref"][1][0], shape["handle"][0]
    return shape.both() if hasattr(shape, "both") else shape()


# ---- tasks


@bolide.remote
def add(x, n):
    return x + n


@bolide.remote
def total(array):
    return int(array.sum())


@bolide.remote
def fail(x):
    raise ValueError(x)


@bolide.remote
def fail_with(shape):
    raise Carried(*unpacked(shape))


@bolide.remote(max_retries=0)
def die_with(shape):
    """Dies while it holds what is in the shape."""
    unpacked(shape)
    os.kill(os.getpid(), signal.SIGKILL)


@bolide.remote
def rebox(box, x):
    """Gives the references in the box, and one more."""
    return [*box, bolide.put(x)]


@bolide.remote(num_returns=2)
def twice(x):
    return x, x + 1


@bolide.remote(num_cpus=0)
def call_through(shape):
    """Calls the actor whose handle is in the shape with the reference in it."""
    ref, handle = unpacked(shape)
    return bolide.get(handle.add.remote(ref))


@bolide.remote(num_cpus=0)
def make_keeper(keeper, base, name):
    return {"handle": keeper.options(name=name, lifetime="detached").remote(base)}


@bolide.remote
def count(n):
    yield from range(n)


@bolide.remote(num_returns="dynamic")
def count_into_one(n):
    yield from range(n)


# ---- actors


@bolide.remote(num_cpus=0)
class Keeper:
    """Adds its base to numbers, and keeps what it is given."""

    def __init__(self, base):
        self.base = base
        self.kept = []

    def add(self, x):
        return self.base + x

    def count(self, n):
        for i in range(n):
            yield self.base + i

    def keep(self, shape):
        self.kept.append(unpacked(shape))

    def give(self):
        return self.kept

    def me(self):
        return Pair(None, bolide.get_runtime_context().current_actor)

    def call_through(self, shape):
        ref, handle = unpacked(shape)
        return bolide.get(handle.add.remote(ref))


class AsyncKeeper(Keeper.__ray_actor_class__):
    async def add(self, x):
        return self.base + x

    async def count(self, n):
        for i in range(n):
            yield self.base + i

    async def call_through(self, shape):
        ref, handle = unpacked(shape)
        return await handle.add.remote(ref)


FUNCTIONS = (
    add, total, fail, fail_with, die_with, rebox, twice, call_through, make_keeper, count,
    count_into_one,
)  # fmt: skip
KEEPERS = {False: Keeper, True: bolide.remote(num_cpus=0)(AsyncKeeper)}

"""Methods of actors: inherited, static, of the class, decorated; their options."""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import Generic, TypeVar

import pytest

import bolide

from .counter import OfModule

T = TypeVar("T")


def test_deriving_from_an_actor_class_is_refused_and_from_the_plain_class_works(ray):
    with pytest.raises(bolide.actor.ActorClassInheritanceException, match="'Derived' of actor cl"):

        class Derived(OfModule):
            pass

    class Base:
        def who(self):
            return type(self).__name__

        def inherited(self):
            return self.who() + "!"

    @ray.remote
    class Child(Base):
        def inherited(self):
            return super().inherited() + "?"

    assert ray.get(Child.remote().inherited.remote()) == "Child!?"


def test_static_and_class_methods(ray):
    @ray.remote
    class Tools:
        factor = 3

        @staticmethod
        def static(x):
            return x + 1

        @classmethod
        def of_class(cls, x):
            return cls.factor * x

    actor = Tools.remote()
    assert ray.get([actor.static.remote(1), actor.of_class.remote(2)]) == [2, 6]
    assert Tools.static(4) == 5
    assert Tools.factor == 3
    assert OfModule.LIMIT == 7
    with pytest.raises(TypeError, match="too many positional"):
        actor.static.remote(1, 2)


def test_decorated_methods(ray):
    def doubled(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return 2 * function(*args, **kwargs)

        return wrapper

    @ray.remote
    class Decorated:
        @doubled
        def add(self, a, b):
            return a + b

    actor = Decorated.remote()
    assert ray.get(actor.add.remote(1, b=2)) == 6
    with pytest.raises(TypeError, match="missing a required argument"):
        actor.add.remote(1)


def test_methods_with_several_returns(ray):
    @ray.remote
    class Splits:
        @ray.method(num_returns=2)
        def halves(self, x):
            return x // 2, x - x // 2

        def three(self):
            return 1, 2, 3

        @ray.method(num_returns=0)
        def nothing(self):
            return None

    actor = Splits.remote()
    first, second = actor.halves.remote(7)
    assert ray.get([first, second]) == [3, 4]
    assert ray.get(actor.three.options(num_returns=3).remote()) == [1, 2, 3]
    assert actor.nothing.remote() is None
    with pytest.raises(ValueError, match="num_returns=2, so it must return 2 values"):
        ray.get(actor.three.options(num_returns=2).remote()[0])


def test_ray_method_without_options_and_wrong_ones(ray):
    @ray.remote
    class Plain:
        @ray.method
        def f(self):
            return 1

    actor = Plain.remote()
    assert ray.get(actor.f.remote()) == 1
    for error in (ValueError, AssertionError):
        with pytest.raises(error, match="Unexpected keyword argument to @ray.method: 'nonsense'"):
            ray.method(nonsense=1)
        with pytest.raises(error, match="The @ray.method decorator must be applied to a method"):
            ray.method()
    with pytest.raises(ValueError, match="num_returns is -1"):
        ray.method(num_returns=-1)
    with pytest.raises(ValueError, match="max_task_retries is -2"):
        actor.f.options(max_task_retries=-2)
    with pytest.raises(ValueError, match=r"argument to handle.method.options\(\): 'num_cpus'"):
        actor.f.options(num_cpus=1)


class Abstract(abc.ABC):
    @abc.abstractmethod
    def get(self):
        """What each kind of class answers."""


class OfAbstract(Abstract):
    def __init__(self, x):
        self.x = x

    def get(self):
        return self.x


class OfGeneric(Generic[T]):
    def __init__(self, x: T) -> None:
        self.x = x

    def get(self) -> T:
        return self.x


class WithSlots:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    def get(self):
        return self.x


class WithNew:
    def __new__(cls, x):
        made = super().__new__(cls)
        made.x = x
        return made

    def get(self):
        return self.x


@dataclasses.dataclass
class OfDataclass:
    x: int

    def get(self):
        return self.x


class WithPartial:
    def __init__(self, x):
        self.x = x

    def add(self, a, b):
        return self.x + a + b

    get = functools.partialmethod(add, 0, 0)


class WithProperty:
    def __init__(self, x):
        self._x = x

    @property
    def x(self):
        return self._x

    get = lambda self: self.x  # noqa: E731  (a method that is no def)


@pytest.mark.parametrize(
    "cls",
    [OfAbstract, OfGeneric, WithSlots, WithNew, OfDataclass, WithPartial, WithProperty],
    ids=lambda cls: cls.__name__,
)
def test_classes_of_all_kinds(ray, cls):
    assert ray.get(ray.remote(cls).remote(5).get.remote()) == 5


def test_methods_with_special_names(ray):
    @ray.remote
    class Special:
        def __call__(self, x):
            return x + 1

        def __len__(self):
            return 5

        def _private(self):
            return 6

    special = Special.remote()
    refs = [special.__call__.remote(1), special.__len__.remote(), special._private.remote()]
    assert ray.get(refs) == [2, 5, 6]


def test_default_arguments_are_those_of_the_actors_process(ray):
    @ray.remote
    class Remembers:
        def add(self, seen=[]):  # noqa: B006  (shared on purpose)
            seen.append(1)
            return len(seen)

    actor = Remembers.remote()
    assert ray.get([actor.add.remote() for _ in range(3)]) == [1, 2, 3]

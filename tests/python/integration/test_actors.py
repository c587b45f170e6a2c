"""Actors as Ray's page "Actors" describes them: classes, calls, state, constructors.

Methods, handles, options, names, lifetimes, concurrency, order and faults have files of their own.
"""

from __future__ import annotations

import os

import numpy
import pytest

from bolide.exceptions import ActorDiedError, RayTaskError

from .counter import OfModule


def test_instantiating_an_actor_and_calling_it(ray):
    @ray.remote
    class Counter:
        def __init__(self):
            self.value = 0

        def increment(self):
            self.value += 1
            return self.value

    counter = Counter.remote()
    assert ray.get(counter.increment.remote()) == 1
    assert ray.get([counter.increment.remote() for _ in range(5)]) == [2, 3, 4, 5, 6]


def test_each_actor_runs_in_its_own_process(ray):
    actors = [OfModule.remote() for _ in range(4)]
    pids = ray.get([actor.pid.remote() for actor in actors])
    assert len({*pids, os.getpid()}) == 5
    assert ray.get([actor.pid.remote() for actor in actors]) == pids


def test_methods_of_one_actor_share_state_and_those_of_others_do_not(ray):
    first, second = OfModule.remote(), OfModule.remote(10)
    ray.get([first.increment.remote() for _ in range(3)])
    assert ray.get([first.increment.remote(), second.increment.remote()]) == [4, 11]


def test_actor_methods_do_not_run_in_workers_of_tasks(ray):
    @ray.remote
    def pid():
        return os.getpid()

    actor = OfModule.remote()
    of_actor = ray.get(actor.pid.remote())
    assert of_actor not in ray.get([pid.remote() for _ in range(50)])


@pytest.mark.parametrize(("args", "kwargs"), [((5,), {}), ((), {"value": 5})])
def test_constructor_arguments(ray, args, kwargs):
    assert ray.get(OfModule.remote(*args, **kwargs).increment.remote()) == 6


def test_references_as_constructor_arguments_are_replaced_by_their_values(ray):
    @ray.remote
    def seven():
        return 7

    @ray.remote
    class Keeps:
        def __init__(self, value, nested):
            self.value, self.nested = value, nested

        def get(self):
            return self.value, ray.get(self.nested[0])

    assert ray.get(Keeps.remote(seven.remote(), [ray.put(3)]).get.remote()) == (7, 3)


def test_large_constructor_arguments(ray):
    @ray.remote
    class Sums:
        def __init__(self, array):
            self.array = array

        def sum(self):
            return float(self.array.sum())

    assert ray.get(Sums.remote(numpy.ones(1_000_000)).sum.remote()) == 1e6


def test_class_without_a_constructor(ray):
    @ray.remote
    class Empty:
        def f(self):
            return 1

    assert ray.get(Empty.remote().f.remote()) == 1


def test_keyword_and_default_arguments_of_methods(ray):
    @ray.remote
    class Takes:
        def all(self, a, b=2, *rest, c=3, **more):
            return a, b, rest, c, more

        def keyword_only(self, *, x):
            return x

    actor = Takes.remote()
    assert ray.get(actor.all.remote(1)) == (1, 2, (), 3, {})
    assert ray.get(actor.all.remote(1, 5, 6, c=7, d=8)) == (1, 5, (6,), 7, {"d": 8})
    assert ray.get(actor.keyword_only.remote(x=4)) == 4


def test_wrong_arguments_are_a_type_error_at_the_call(ray):
    actor = OfModule.remote()
    with pytest.raises(TypeError, match=r"OfModule.increment.remote\(\): too many positional arg"):
        actor.increment.remote(1, 2)
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'nonsense'"):
        actor.increment.remote(nonsense=1)
    with pytest.raises(TypeError, match=r"OfModule.remote\(\): too many positional arguments"):
        OfModule.remote(1, 2)

    @ray.remote
    class Needs:
        def __init__(self, x):
            pass

        def f(self, a, *, b):
            pass

    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        Needs.remote()
    needs = Needs.remote(1)
    with pytest.raises(TypeError, match="missing a required"):
        needs.f.remote(1)
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        needs.f.remote(b=1)


def test_wrong_arguments_are_noticed_in_other_processes_too(ray):
    @ray.remote
    def call(actor):
        try:
            actor.increment.remote(1, 2, 3)
        except TypeError as error:
            return str(error)

    assert "OfModule.increment.remote(): too many" in ray.get(call.remote(OfModule.remote()))


def test_exceptions_of_methods_do_not_end_the_actor(ray):
    @ray.remote
    class Fragile:
        def fail(self):
            raise KeyError("missing")

        def work(self):
            return 1

    actor = Fragile.remote()
    with pytest.raises(KeyError) as caught:
        ray.get(actor.fail.remote())
    assert isinstance(caught.value, RayTaskError)
    assert "Fragile.fail() failed in worker pid" in str(caught.value)
    assert "actor Fragile" in str(caught.value)
    assert caught.value.actor_id == actor._actor_id.hex()
    assert ray.get(actor.work.remote()) == 1


def test_calling_a_class_or_a_method_directly_is_a_type_error(ray):
    with pytest.raises(TypeError, match=r"Instead of 'OfModule\(\)', use 'OfModule.remote\(\)'"):
        OfModule()
    actor = OfModule.remote()
    with pytest.raises(
        TypeError, match=r"Instead of running 'object.increment\(\)', try 'object.increment.remote"
    ):
        actor.increment()


def test_a_method_that_does_not_exist_is_an_attribute_error(ray):
    actor = OfModule.remote()
    with pytest.raises(AttributeError, match="'OfModule' has no method 'nothing'"):
        actor.nothing  # noqa: B018  (that it raises is the test)
    assert not hasattr(actor, "value")  # attributes of the instance cannot be reached
    assert {"increment", "pid"} <= set(dir(actor))


def test_async_functions_are_methods_of_actors_and_not_tasks(ray):
    with pytest.raises(ValueError, match="'async def' should not be used for remote tasks"):

        @ray.remote
        async def f():
            pass


# ---- what every actor has


def test_ray_ready_and_ray_call(ray):
    counter = OfModule.remote(4)
    assert ray.get(counter.__ray_ready__.remote()) is True
    assert ray.get(counter.__ray_call__.remote(lambda self, x: self.value + x, 5)) == 9


def test_ids_and_repr(ray):
    counter = OfModule.remote()
    text = counter._actor_id.hex()
    assert len(text) == 32
    assert repr(counter) == f"Actor(OfModule, {text})"
    assert repr(OfModule) == "ActorClass(OfModule)"
    assert repr(counter.increment) == "ActorMethod(OfModule.increment)"
    assert OfModule.__name__ == "OfModule"


def test_output_begins_with_the_class_or_the_repr(ray, capfd):
    @ray.remote
    class Named:
        def __init__(self, index):
            self.index = index

        def __repr__(self):
            return f"Named(index={self.index})"

        def speak(self):
            print("hello there")

    @ray.remote
    class Unnamed:
        def speak(self):
            print("hello too")

    first, second = Named.remote(3), Unnamed.remote()
    ray.get([first.speak.remote(), second.speak.remote()])
    out = capfd.readouterr().out
    assert "(Named(index=3) pid=" in out and "(Unnamed pid=" in out


# ---- constructors that fail


def test_a_constructor_that_raises_fails_every_call_with_its_traceback(ray):
    @ray.remote
    class Broken:
        def __init__(self):
            raise RuntimeError("cannot be made")

        def f(self):
            return 1

    broken = Broken.remote()
    refs = [broken.f.remote() for _ in range(3)]
    for ref in [*refs, broken.f.remote()]:
        with pytest.raises(ActorDiedError) as caught:
            ray.get(ref)
        text = str(caught.value)
        assert "The actor died because its constructor raised an error" in text
        assert "Broken.__init__() failed" in text
        assert "RuntimeError: cannot be made" in text
        assert caught.value.actor_init_failed
        assert caught.value.actor_id == broken._actor_id.hex()


def test_a_constructor_whose_argument_failed(ray):
    @ray.remote
    def fail():
        raise OSError("no argument")

    counter = OfModule.remote(fail.remote())
    with pytest.raises(ActorDiedError, match="OSError: no argument"):
        ray.get(counter.increment.remote())


def test_an_argument_that_cannot_be_pickled_is_named(ray):
    import threading

    with pytest.raises(TypeError, match="argument 'value' of 'OfModule'"):
        OfModule.remote(threading.Lock())
    counter = OfModule.remote()
    with pytest.raises(TypeError, match="argument 'by' of 'OfModule.increment'"):
        counter.increment.remote(threading.Lock())


def test_private_remote_form_of_libraries(ray):
    counter = OfModule._remote(args=(3,), num_cpus=0)
    assert ray.get(counter.increment._remote(args=[2])) == 5
    assert ray.get(counter.increment._remote(kwargs={"by": 1}, num_returns=1)) == 6
    assert OfModule.__ray_metadata__.class_name == "OfModule"


def test_many_calls_are_counted_once_each(ray):
    counter = OfModule.remote()
    assert ray.get([counter.increment.remote() for _ in range(20_000)]) == list(range(1, 20_001))

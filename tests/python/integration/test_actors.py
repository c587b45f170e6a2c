"""Actors as Ray's page "Actors" describes them: classes, calls, state, handles, resources.

Names, lifetimes, concurrency, order and faults have files of their own.
"""

from __future__ import annotations

import functools
import os
import pickle

import numpy
import pytest

import bolide
from bolide.exceptions import (
    ActorDiedError,
    ActorUnschedulableError,
    PendingCallsLimitExceeded,
    RayTaskError,
)


@bolide.remote
class OfModule:
    LIMIT = 7

    def __init__(self, value=0):
        self.value = value

    def increment(self, by=1):
        self.value += by
        return self.value

    def pid(self):
        return os.getpid()


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
        actor.nothing  # noqa: B018
    assert not hasattr(actor, "value")  # attributes of the instance cannot be reached
    assert {"increment", "pid"} <= set(dir(actor))


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


def test_async_functions_are_methods_of_actors_and_not_tasks(ray):
    with pytest.raises(ValueError, match="'async def' should not be used for remote tasks"):

        @ray.remote
        async def f():
            pass


# ---- handles


def test_handles_are_passed_to_tasks_and_actors(ray):
    @ray.remote
    def increments(counter, times):
        return [ray.get(counter.increment.remote()) for _ in range(times)]

    @ray.remote
    class Delegates:
        def __init__(self, counter):
            self.counter = counter

        def increment(self):
            return ray.get(self.counter.increment.remote())

    counter = OfModule.remote()
    assert ray.get(increments.remote(counter, 3)) == [1, 2, 3]
    assert ray.get(Delegates.remote(counter).increment.remote()) == 4
    assert ray.get(counter.increment.remote()) == 5


def test_handles_in_data_structures_results_closures_and_objects(ray):
    counter = OfModule.remote()

    @ray.remote
    def nested(box):
        return [box["counter"], ray.get(box["counter"].increment.remote())]

    @ray.remote
    def captured():
        return ray.get(counter.increment.remote())

    back, value = ray.get(nested.remote({"counter": counter}))
    assert (back, value) == (counter, 1)
    assert hash(back) == hash(counter)
    assert ray.get(captured.remote()) == 2
    assert ray.get(ray.get(ray.put([counter]))[0].increment.remote()) == 3
    assert back != OfModule.remote()


def test_methods_of_handles_can_be_passed_on(ray):
    @ray.remote
    def call(method):
        return ray.get(method.remote(5))

    counter = OfModule.remote()
    assert ray.get(call.remote(counter.increment)) == 5
    assert ray.get(call.remote(counter.increment.options(name="named"))) == 10
    # A method keeps its actor alive.
    assert ray.get(OfModule.remote(1).increment.remote()) == 2


def test_a_handle_pickled_outside_is_pinned_with_a_warning(ray):
    counter = OfModule.remote()
    with pytest.warns(RuntimeWarning, match="was pickled outside bolide"):
        data = pickle.dumps(counter)
    copy = pickle.loads(data)
    assert copy == counter
    assert ray.get(copy.increment.remote()) == 1
    bolide.kill(counter)
    bolide.shutdown()  # what was pinned ends with the session


def test_tasks_and_actors_make_actors(ray):
    @ray.remote
    class Parent:
        def make(self):
            self.child = OfModule.remote(100)
            return self.child

        def of_child(self):
            return ray.get(self.child.increment.remote())

    @ray.remote
    def makes():
        child = OfModule.remote(200)
        return ray.get(child.increment.remote())

    parent = Parent.remote()
    child = ray.get(parent.make.remote())
    assert ray.get([child.increment.remote(), makes.remote()]) == [101, 201]
    assert ray.get(parent.of_child.remote()) == 102


def test_tree_of_actors(ray):
    @ray.remote
    class Node:
        def __init__(self, depth):
            self.children = [Node.remote(depth - 1) for _ in range(2)] if depth else []

        def count(self):
            return 1 + sum(ray.get([child.count.remote() for child in self.children]))

    assert ray.get(Node.remote(2).count.remote()) == 7


def test_actor_classes_travel_in_closures_and_arguments(ray):
    @ray.remote
    def make(cls):
        return ray.get(cls.remote(1).increment.remote())

    class Local:
        def f(self):
            return 5

    RemoteLocal = ray.remote(Local)

    @ray.remote
    def captured():
        return ray.get(RemoteLocal.remote().f.remote())

    assert ray.get([make.remote(OfModule), captured.remote()]) == [2, 5]


def test_results_of_methods_are_dependencies(ray):
    @ray.remote
    def double(x):
        return 2 * x

    counter = OfModule.remote()
    doubled = double.remote(counter.increment.remote())
    assert ray.get(counter.increment.remote(doubled)) == 3


def test_a_failed_dependency_fails_the_call_and_no_later_one(ray):
    @ray.remote
    def fail():
        raise OSError("no")

    counter = OfModule.remote()
    bad, good = counter.increment.remote(fail.remote()), counter.increment.remote()
    with pytest.raises(OSError, match="no"):
        ray.get(bad)
    assert ray.get(good) == 1


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


# ---- resources


def test_an_actor_takes_a_cpu_to_be_placed_and_none_afterwards(ray):
    actors = [OfModule.remote() for _ in range(6)]
    ray.get([actor.__ray_ready__.remote() for actor in actors])
    assert ray.available_resources()["CPU"] == 2


def test_an_actor_holds_the_resources_that_it_asks_for(ray):
    actor = OfModule.options(num_cpus=1).remote()
    ray.get(actor.__ray_ready__.remote())
    assert ray.available_resources()["CPU"] == 1
    del actor


def test_an_actor_that_asks_for_custom_resources_holds_a_cpu_too():
    bolide.init(num_cpus=2, resources={"disk": 1})
    actor = OfModule.options(resources={"disk": 1}).remote()
    bolide.get(actor.__ray_ready__.remote())
    assert bolide.available_resources().get("disk") is None
    assert bolide.available_resources()["CPU"] == 1
    waits = OfModule.options(resources={"disk": 1}).remote()
    ref = waits.increment.remote()
    assert bolide.wait([ref], timeout=0.2) == ([], [ref])
    bolide.kill(actor)
    assert bolide.get(ref) == 1


def test_an_actor_waits_while_resources_are_short(ray, latch, channel):
    @ray.remote(num_cpus=2)
    def holds():
        channel.say("holding")
        latch.wait()

    task = holds.remote()
    channel.hear()
    counter = OfModule.remote()
    ref = counter.increment.remote()
    assert ray.wait([ref], timeout=0.2) == ([], [ref])
    latch.open()
    assert ray.get([ref, task]) == [1, None]


def test_an_actor_that_can_never_be_placed_fails_with_a_sentence(ray):
    actor = OfModule.options(num_gpus=4).remote()
    with pytest.raises(ActorUnschedulableError, match="The actor 'OfModule' .* needs 1 CPU, 4 GPU"):
        ray.get(actor.increment.remote())


# ---- options


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_concurrency": 0}, ValueError, "max_concurrency is 0"),
        ({"max_restarts": -2}, ValueError, "max_restarts is -2"),
        ({"max_restarts": "1"}, TypeError, "max_restarts is '1'"),
        ({"lifetime": "forever"}, ValueError, "actor `lifetime` is 'forever'"),
        ({"name": ""}, ValueError, "name cannot be an empty string"),
        ({"namespace": ""}, ValueError, "namespace is ''"),
        ({"get_if_exists": True}, ValueError, "The actor name must be specified to use"),
        ({"max_retries": 1}, ValueError, "max_retries is an option of tasks"),
        ({"nonsense": 1}, ValueError, "'nonsense' is not an option of an actor"),
        ({"max_concurrency": 2, "allow_out_of_order_execution": False}, ValueError, "in order"),
        ({"concurrency_groups": {"io": 1}}, ValueError, "not supported in '.options()'"),
    ],
)
def test_wrong_options(options, error, text):
    with pytest.raises(error) as caught:
        OfModule.options(**options)
    assert text in str(caught.value)


def test_wrong_options_of_the_decorator_are_told_at_once():
    with pytest.raises(ValueError, match="max_restarts is -2"):
        bolide.remote(max_restarts=-2)
    with pytest.raises(ValueError, match="num_cpus is -1"):
        bolide.remote(num_cpus=-1)
    with pytest.raises(ValueError, match="max_restarts is an option of actors and not of a task"):
        bolide.remote(max_restarts=1)(lambda: 1)


def test_options_override_the_decorators_one_by_one(ray):
    @ray.remote(num_cpus=2, max_restarts=3)
    class Heavy:
        def f(self):
            return 1

    light = Heavy.options(num_cpus=0).remote()
    assert ray.get(light.f.remote()) == 1
    assert ray.available_resources()["CPU"] == 2
    assert Heavy.options(num_cpus=0)._ray_options.max_restarts == 3


def test_max_pending_calls(ray, latch):
    @ray.remote(max_pending_calls=2)
    class Slow:
        def wait(self, latch):
            latch.wait()

    slow = Slow.remote()
    refs = [slow.wait.remote(latch), slow.wait.remote(latch)]
    with pytest.raises(PendingCallsLimitExceeded, match="has 2 pending calls of this process"):
        slow.wait.remote(latch)

    @ray.remote
    def calls(slow):
        mine = [slow.wait.remote(latch), slow.wait.remote(latch)]  # each process has its own limit
        try:
            slow.wait.remote(latch)
        except PendingCallsLimitExceeded as error:
            return str(error), mine

    text, others = ray.get(calls.remote(slow))
    assert "The actor 'Slow' has 2 pending calls of this process" in text
    latch.open()
    ray.get([*refs, *others])
    ray.get(slow.wait.remote(latch))


def test_private_remote_form_of_libraries(ray):
    counter = OfModule._remote(args=(3,), num_cpus=0)
    assert ray.get(counter.increment._remote(args=[2])) == 5
    assert ray.get(counter.increment._remote(kwargs={"by": 1}, num_returns=1)) == 6
    assert OfModule.__ray_metadata__.class_name == "OfModule"


def test_many_calls_are_counted_once_each(ray):
    counter = OfModule.remote()
    assert ray.get([counter.increment.remote() for _ in range(20_000)]) == list(range(1, 20_001))

"""Handles of actors: in arguments, results, closures, data structures, objects and other actors."""

from __future__ import annotations

import pickle

import pytest

import bolide

from .counter import OfModule


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

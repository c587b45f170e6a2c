"""Graphs: bind and execute of functions, classes and methods, inputs, outputs."""

from __future__ import annotations

import pickle

import pytest

import bolide
from bolide.dag import InputNode, MultiOutputNode


@pytest.fixture
def plus(ray):
    """A task that adds."""

    @ray.remote
    def plus(a, b=1):
        return a + b

    return plus


@pytest.fixture
def Sum(ray):
    """An actor that adds to what it has."""

    @ray.remote
    class Sum:
        def __init__(self, start):
            self.value = start

        def add(self, x):
            self.value += x
            return self.value

        def get(self):
            return self.value

    return Sum


# ---- functions


def test_a_chain_of_functions(ray, plus):
    graph = plus.bind(plus.bind(1, 2), b=plus.bind(10))
    assert ray.get(graph.execute()) == 14
    assert ray.get(graph.execute()) == 14


def test_a_node_runs_once_an_execution(ray, journal):
    @ray.remote
    def once():
        journal.note("once")
        return 1

    @ray.remote
    def both(a, b):
        return a + b

    node = once.bind()
    assert ray.get(both.bind(node, node).execute()) == 2
    assert journal.lines() == ["once"]


def test_a_long_chain_needs_no_recursion(ray, plus):
    node = plus.bind(0)
    for _ in range(1500):
        node = plus.bind(node)
    assert ray.get(node.execute()) == 1501


def test_options_are_bound_with_the_function(ray):
    @ray.remote
    def halves(x):
        return x // 2, x - x // 2

    first, second = halves.options(num_returns=2).bind(7).execute()
    assert ray.get([first, second]) == [3, 4]
    assert halves.options(num_returns=2).bind(7).get_options() == {"num_returns": 2}


def test_nodes_inside_of_arguments(ray, plus):
    @ray.remote
    def total(parts, more):
        return sum(bolide.get(parts)) + bolide.get(more["a"][0])

    graph = total.bind([plus.bind(1), plus.bind(2)], {"a": (plus.bind(3),)})
    assert ray.get(graph.execute()) == 2 + 3 + 4


def test_references_are_arguments_too(ray, plus):
    assert ray.get(plus.bind(ray.put(5), plus.bind(1)).execute()) == 7


# ---- inputs and outputs


def test_the_input_is_what_execute_is_given(ray, plus):
    with InputNode() as x:
        graph = plus.bind(plus.bind(x, 2), x)
    assert [ray.get(graph.execute(i)) for i in range(3)] == [2, 4, 6]


def test_parts_of_the_input(ray, plus):
    with InputNode() as x:
        graph = plus.bind(x[0], x.other)
        items = plus.bind(x[0], x[1])
        keys = plus.bind(x["a"], x["b"])
    assert ray.get(graph.execute(1, other=2)) == 3
    assert ray.get(items.execute(1, 2)) == 3
    assert ray.get(items.execute([3, 4])) == 7
    assert ray.get(keys.execute({"a": 1, "b": 5})) == 6
    assert ray.get(keys.execute(a=1, b=2)) == 3
    with pytest.raises(ValueError, match="takes the argument 1, but execute.. was given 1 pos"):
        items.execute(1, other=2)


def test_an_attribute_of_the_input(ray, plus):
    with InputNode() as x:
        graph = plus.bind(x.real, x.imag)
    assert ray.get(graph.execute(3 + 4j)) == 7


def test_several_outputs(ray, plus):
    with InputNode() as x:
        graph = MultiOutputNode([plus.bind(x), plus.bind(x, 10)])
    assert ray.get(graph.execute(1)) == [2, 11]


def test_what_the_last_execution_gave_can_be_kept(ray, plus):
    inner = plus.bind(1)
    graph = plus.bind(inner)
    graph.execute()
    assert inner.get_object_refs_from_last_execute() is None
    last = graph.execute(_ray_cache_refs=True)
    assert graph.get_object_refs_from_last_execute() == last
    assert ray.get(inner.get_object_refs_from_last_execute()) == 2


# ---- actors


def test_methods_of_a_bound_class_run_in_the_order_in_which_they_were_bound(ray, plus, Sum):
    first, second = Sum.bind(10), Sum.bind(10)
    first.add.bind(2)
    first.add.bind(4)
    second.add.bind(6)
    graph = plus.bind(first.get.bind(), second.get.bind())
    assert ray.get(graph.execute()) == 32
    assert ray.get(graph.execute()) == 32  # with other actors


def test_a_bound_class_is_executed_to_an_actor(ray, plus, Sum):
    actor = Sum.bind(plus.bind(1)).execute()
    assert ray.get(actor.get.remote()) == 2
    named = Sum.options(name="bound").bind(3)
    assert ray.get(named.get.options(name="x").bind().execute()) == 3
    with pytest.raises(AttributeError, match="has no method 'gets'"):
        named.gets.bind()


def test_methods_of_a_living_actor(ray, plus, Sum):
    actor = Sum.remote(1)
    with InputNode() as x:
        graph = plus.bind(actor.add.bind(x))
    assert [ray.get(graph.execute(i)) for i in (1, 2, 3)] == [3, 5, 8]


# ---- wrong use


def test_wrong_nodes_are_told(plus):
    with pytest.raises(ValueError, match="Invalid input type for `args`"):
        MultiOutputNode(3)
    with pytest.raises(ValueError, match="MultiOutputNode has 3, but takes nodes"):
        MultiOutputNode([3])
    with pytest.raises(ValueError, match="should not take any args"):
        InputNode(1)
    with pytest.raises(ValueError, match="int index or str"):
        InputNode()[1.5]
    with pytest.raises(ValueError, match="a graph is executed in the process that bound it"):
        pickle.dumps(plus.bind(1))


def test_wrong_arguments_are_told_when_it_is_executed(plus):
    with pytest.raises(TypeError):
        plus.bind(1, 2, 3).execute()


def test_local_mode_executes_graphs(local):
    @local.remote
    def twice(x):
        return 2 * x

    with InputNode() as x:
        graph = twice.bind(twice.bind(x))
    assert local.get(graph.execute(3)) == 12

"""Compiled graphs: executions, their results, errors, the end; what cannot be compiled."""

from __future__ import annotations

import asyncio
import copy
import pickle

import numpy as np
import pytest

import bolide
from bolide.dag import InputNode, MultiOutputNode
from bolide.exceptions import (
    ActorDiedError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
)


@pytest.fixture
def Stage(ray):
    """An actor with some methods."""

    @ray.remote
    class Stage:
        def __init__(self, step=1):
            self.step = step
            self.seen = []

        def add(self, x, y=0):
            self.seen.append(x)
            return x + y + self.step

        def all_seen(self):
            return self.seen

        def divide(self, x):
            return 1 // x

        def wait(self, latch):
            latch.wait()
            return "waited"

        def total(self, array):
            return float(array.sum())

    return Stage


@pytest.fixture
def chain(Stage):
    """Two actors one after the other, and their graph."""
    actors = Stage.remote(1), Stage.remote(10)
    with InputNode() as x:
        graph = actors[1].add.bind(actors[0].add.bind(x))
    return actors, graph.experimental_compile()


def test_an_execution_gives_a_result_once(ray, chain):
    _, graph = chain
    ref = graph.execute(1)
    assert ray.get(ref) == 12
    with pytest.raises(ValueError, match="can only be called once on a CompiledDAGRef"):
        ray.get(ref)
    assert graph.execute(2).get() == 13


def test_many_executions_run_in_order(ray, chain):
    actors, graph = chain
    refs = [graph.execute(i) for i in range(200)]
    assert ray.get(list(reversed(refs))) == [i + 11 for i in reversed(range(200))]
    assert ray.get(actors[1].all_seen.remote()) == [i + 1 for i in range(200)]


def test_results_that_nobody_gets_are_dropped(ray, chain):
    actors, graph = chain
    for i in range(10):
        graph.execute(i)
    assert len(ray.get(actors[1].all_seen.remote())) == 10


def test_several_outputs_inputs_and_constants(ray, Stage):
    first, second = Stage.remote(1), Stage.remote(2)
    with InputNode() as x:
        graph = MultiOutputNode(
            [first.add.bind(x[0], y=x.more), second.add.bind(x[0], 100), first.add.bind(x[0])]
        ).experimental_compile()
    refs = graph.execute(1, more=5)
    assert ray.get(refs) == [7, 103, 2]


def test_calls_of_one_actor_run_in_the_order_in_which_they_were_bound(ray, Stage):
    actor = Stage.remote(0)
    with InputNode() as x:
        ends = [actor.add.bind(x, y) for y in range(5)]
    graph = MultiOutputNode(list(reversed(ends))).experimental_compile()
    assert ray.get(graph.execute(1)) == [5, 4, 3, 2, 1]


def test_a_large_input_is_stored_once(ray, Stage, monkeypatch):
    puts = []
    monkeypatch.setattr(
        "bolide.dag.compiled_dag_node.put", lambda x: puts.append(x) or bolide.put(x)
    )
    actors = [Stage.remote() for _ in range(3)]
    with InputNode() as x:
        graph = MultiOutputNode([actor.total.bind(x) for actor in actors]).experimental_compile()
    array = np.ones(1 << 20)
    assert ray.get(graph.execute(array)) == [float(1 << 20)] * 3
    assert len(puts) == 1
    puts.clear()


def test_an_exception_is_the_result_and_the_graph_lives_on(ray, Stage):
    first, second = Stage.remote(), Stage.remote()
    with InputNode() as x:
        graph = second.add.bind(first.divide.bind(x)).experimental_compile()
    ref = graph.execute(0)
    with pytest.raises(ZeroDivisionError):
        ray.get(ref)
    assert ray.get(graph.execute(1)) == 2


def test_the_death_of_an_actor_ends_the_graph(ray, chain):
    actors, graph = chain
    ray.kill(actors[0])
    ref = graph.execute(1)
    with pytest.raises(ActorDiedError):
        ray.get(ref)
    with pytest.raises(RayChannelError, match="cannot be executed: an actor of it died"):
        graph.execute(1)
    assert ray.get(actors[1].add.remote(1)) == 11


def test_teardown_ends_the_graph(ray, chain):
    actors, graph = chain
    ref = graph.execute(1)
    graph.teardown()
    with pytest.raises(RayChannelError, match="it was torn down. Compile it again"):
        graph.execute(1)
    assert ray.get(ref) == 12
    assert ray.get(actors[0].add.remote(1)) == 2
    graph.teardown(kill_actors=True)
    with pytest.raises(ActorDiedError):
        ray.get(actors[0].add.remote(1))


def test_a_timeout_leaves_the_result(ray, Stage, latch):
    actor = Stage.remote()
    with InputNode() as x:
        graph = actor.wait.bind(x).experimental_compile()
    ref = graph.execute(latch)
    with pytest.raises(RayChannelTimeoutError, match="was not over in 0.01 s; get it later"):
        ray.get(ref, timeout=0.01)
    latch.open()
    assert ray.get(ref, timeout=30) == "waited"


def test_executions_can_be_limited(ray, Stage):
    actor = Stage.remote()
    with InputNode() as x:
        ends = [actor.add.bind(x), actor.add.bind(x)]
        graph = MultiOutputNode(ends).experimental_compile(_max_inflight_executions=2)
    refs = [graph.execute(1), graph.execute(2)]
    with pytest.raises(RayCgraphCapacityExceeded, match="2 executions .* wait for their get"):
        graph.execute(3)
    assert ray.get(refs[0]) == [2, 2]
    assert ray.get(graph.execute(3)) == [4, 4]
    del refs
    graph.execute(5)


def test_awaited_executions(ray, Stage):
    actor = Stage.remote()
    with InputNode() as x:
        graph = actor.add.bind(x).experimental_compile(enable_asyncio=True)

    async def run():
        futures = [await graph.execute_async(i) for i in range(5)]
        values = [await future for future in futures]
        with pytest.raises(ValueError, match="can only be awaited once"):
            await futures[0]
        return values

    assert asyncio.run(run()) == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="Use execute_async"):
        graph.execute(1)


def test_a_result_is_no_reference(ray, chain):
    _, graph = chain
    ref = graph.execute(1)
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(ValueError, match="CompiledDAGRef cannot be"):
            make(ref)
    with pytest.raises(TypeError):
        ray.wait([ref])
    with pytest.raises(ValueError, match="no mixture"):
        ray.get([ref, ray.put(1)])


def test_what_cannot_be_compiled_is_told(ray, Stage):
    @ray.remote
    def task(x):
        return x

    actor = Stage.remote()
    with InputNode() as x, InputNode() as other:
        cases = [
            (task.bind(actor.add.bind(x)), NotImplementedError, "only support actor method nodes"),
            (Stage.bind().add.bind(x), ValueError, "create the actor first"),
            (actor.add.bind(x, actor.all_seen.bind()), ValueError, "takes none; bind it to"),
            (actor.add.bind(x, other), NotImplementedError, "exactly one InputNode, but .* has 2"),
            (actor.add.bind([x], x), ValueError, "a compiled graph takes nodes only as"),
            (MultiOutputNode([x]), ValueError, "ends with methods of actors"),
        ]
    for node, error, sentence in cases:
        with pytest.raises(error, match=sentence):
            node.experimental_compile()


def test_ray_get_takes_lists_of_results_with_a_timeout(ray, chain):
    _, graph = chain
    refs = [graph.execute(i) for i in range(3)]
    assert bolide.get(refs, timeout=30) == [11, 12, 13]

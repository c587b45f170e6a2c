"""A compiled graph: three actors in a row, executed one at a time and many in flight.

An edge is what a value passes: input to actor, actor to actor, actor to output, so there are four.
Invariants: results of every repetition are compared; every method runs in its actor's process.
"""

from __future__ import annotations

import os

import pytest

from ..budgets import GRAPH_EDGE, GRAPH_SYNC
from ..gauge import Gauge

ACTORS = 3
EDGES = ACTORS + 1
ONE_BY_ONE = 1_000
IN_FLIGHT = 10_000


@pytest.fixture(scope="module")
def graph(ray):
    """The compiled graph, hot."""

    @ray.remote
    class Same:
        def same(self, x):
            return x

        def pid(self):
            return os.getpid()

    actors = [Same.remote() for _ in range(ACTORS)]
    assert len({*ray.get([actor.pid.remote() for actor in actors]), os.getpid()}) == ACTORS + 1
    with ray.dag.InputNode() as node:
        for actor in actors:
            node = actor.same.bind(node)
    graph = node.experimental_compile()
    assert ray.get([graph.execute(i) for i in range(1000)]) == list(range(1000))
    yield graph
    graph.teardown()


def test_graph_edge(gauge: Gauge, ray, graph) -> None:
    """10,000 executions, then all results."""

    def run() -> list[int]:
        return ray.get([graph.execute(i) for i in range(IN_FLIGHT)])

    def check(results: list[int]) -> None:
        assert results == list(range(IN_FLIGHT))

    gauge.time(GRAPH_EDGE, run, check=check, per=IN_FLIGHT * EDGES)


def test_graph_sync(gauge: Gauge, ray, graph) -> None:
    """Execute, get, again: with two cores, two of four processes are always asleep."""

    def run() -> list[int]:
        return [ray.get(graph.execute(i)) for i in range(ONE_BY_ONE)]

    def check(results: list[int]) -> None:
        assert results == list(range(ONE_BY_ONE))

    gauge.time(GRAPH_SYNC, run, check=check, per=ONE_BY_ONE * EDGES)

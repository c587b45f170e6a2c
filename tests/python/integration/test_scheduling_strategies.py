"""Scheduling strategies beside placement groups: node affinity, labels of the node, SPREAD."""

from __future__ import annotations

import pytest

import bolide
from bolide.exceptions import ActorUnschedulableError, TaskUnschedulableError
from bolide.util.scheduling_strategies import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
)

from .counter import OfModule


@pytest.fixture
def zoned():
    """A node with a label."""
    bolide.init(num_cpus=2, labels={"zone": "a"})
    return bolide


def twice(x):
    return 2 * x


@pytest.mark.parametrize("strategy", ["DEFAULT", "SPREAD"])
def test_on_one_node_the_names_mean_the_same(ray, strategy):
    assert ray.get(ray.remote(scheduling_strategy=strategy)(twice).remote(2)) == 4
    actor = OfModule.options(scheduling_strategy=strategy).remote()
    assert ray.get(actor.increment.remote()) == 1


def test_affinity_to_this_node_runs(ray):
    here = ray.get_runtime_context().get_node_id()
    for soft in (False, True):
        strategy = NodeAffinitySchedulingStrategy(here, soft=soft)
        assert ray.get(ray.remote(scheduling_strategy=strategy)(twice).remote(2)) == 4
        actor = OfModule.options(scheduling_strategy=strategy).remote()
        assert ray.get(actor.increment.remote()) == 1


def test_affinity_to_another_node_fails_unless_it_is_soft(ray):
    hard = NodeAffinitySchedulingStrategy("f" * 56, soft=False)
    task = ray.remote(scheduling_strategy=hard)(twice)
    for _ in range(2):
        with pytest.raises(TaskUnschedulableError, match="'twice': it is to run on the node with"):
            ray.get(task.remote(2), timeout=10)
    actor = OfModule.options(scheduling_strategy=hard).remote()
    with pytest.raises(ActorUnschedulableError, match="'OfModule' .*: it is to run on the node"):
        ray.get(actor.increment.remote(), timeout=10)
    soft = NodeAffinitySchedulingStrategy("f" * 56, soft=True)
    assert ray.get(ray.remote(scheduling_strategy=soft)(twice).remote(2)) == 4


@pytest.mark.parametrize(
    "hard",
    [
        {"zone": In("a", "b")},
        {"zone": NotIn("b")},
        {"zone": Exists()},
        {"other": DoesNotExist()},
        {"other": NotIn("a")},
    ],
    ids=["In", "NotIn", "Exists", "DoesNotExist", "NotIn without the label"],
)
def test_labels_that_fit(zoned, hard):
    strategy = NodeLabelSchedulingStrategy(hard)
    assert zoned.get(zoned.remote(scheduling_strategy=strategy)(twice).remote(2)) == 4


@pytest.mark.parametrize(
    "hard",
    [{"zone": In("b")}, {"zone": NotIn("a")}, {"other": Exists()}, {"zone": DoesNotExist()}],
    ids=["In", "NotIn", "Exists", "DoesNotExist"],
)
def test_labels_that_do_not_fit_wait(zoned, hard):
    task = zoned.remote(scheduling_strategy=NodeLabelSchedulingStrategy(hard))(twice)
    ref = task.remote(2)
    assert zoned.wait([ref], timeout=0.1) == ([], [ref])
    actor = OfModule.options(scheduling_strategy=NodeLabelSchedulingStrategy(hard)).remote()
    with pytest.raises(ActorUnschedulableError, match="a node with label"):
        zoned.get(actor.increment.remote(), timeout=10)
    zoned.cancel(ref)


def test_soft_labels_are_a_wish(zoned):
    strategy = NodeLabelSchedulingStrategy(None, soft={"zone": In("b")})
    assert zoned.get(zoned.remote(scheduling_strategy=strategy)(twice).remote(2)) == 4


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: NodeLabelSchedulingStrategy({}), "cannot both be empty"),
        (lambda: NodeLabelSchedulingStrategy("zone"), "must be a map"),
        (lambda: NodeLabelSchedulingStrategy({1: In("a")}), "The map key .* must be of type str"),
        (lambda: NodeLabelSchedulingStrategy({"zone": "a"}), "must be one of the `In`, `NotIn`"),
        (lambda: In(), "must be a non-empty tuple"),
        (lambda: NotIn("a", 1), "Type of value in position 1 for the NotIn operator must be str"),
    ],
)
def test_wrong_strategies_are_told(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_other_objects_are_no_strategies():
    with pytest.raises(TypeError, match="scheduling_strategy is .* but it must be 'DEFAULT'"):
        bolide.remote(scheduling_strategy=object())(twice)

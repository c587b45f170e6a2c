"""Placement groups. Reserving: what a group takes, where bundles lie, which are infeasible."""

from __future__ import annotations

import pytest

import bolide
from bolide.exceptions import (
    GetTimeoutError,
)
from bolide.util import (
    placement_group_table,
    remove_placement_group,
)

from .groups import ONE, free_cpus, placement_group


def test_a_group_takes_its_resources_and_gives_them_back(ray, eventually):
    group = placement_group(ONE)
    assert ray.get(group.ready()) == group
    assert group.wait(5)
    assert free_cpus() == 1
    assert placement_group_table(group)["state"] == "CREATED"
    remove_placement_group(group)
    eventually(free_cpus, 2)
    assert placement_group_table(group)["state"] == "REMOVED"
    remove_placement_group(group)  # again: nothing


def test_a_group_tells_its_bundles(ray):
    group = placement_group([{"CPU": 1}, {"CPU": 0.5, "memory": 1000}], strategy="SPREAD", name="g")
    assert group.bundle_count == 2
    assert group.bundle_specs == [{"CPU": 1}, {"CPU": 0.5, "memory": 1000}]
    row = placement_group_table(group)
    assert (row["name"], row["strategy"]) == ("g", "SPREAD")
    assert row["placement_group_id"] == group.id.hex()
    assert row["bundles"] == {0: {"CPU": 1}, 1: {"CPU": 0.5, "memory": 1000}}
    assert group.wait()
    row = placement_group_table()[group.id.hex()]
    assert row["bundles_to_node_id"] == dict.fromkeys((0, 1), ray.nodes()[0]["NodeID"])
    remove_placement_group(group)


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK"])
def test_one_node_is_enough_for_three_strategies(ray, strategy):
    group = placement_group([{"CPU": 1}] * 2, strategy=strategy)
    assert group.wait(10)


def test_a_group_waits_for_room(ray, latch, channel):
    @ray.remote
    def holds():
        channel.say("in")
        latch.wait()

    task = holds.remote()
    channel.hear()
    group = placement_group([{"CPU": 1}] * 2)
    ready = group.ready()
    assert ray.wait([ready], timeout=0.1) == ([], [ready])
    assert placement_group_table(group)["state"] == "PENDING"
    latch.open()
    ray.get([task, ready])


@pytest.mark.parametrize(
    ("bundles", "strategy", "sentence"),
    [
        ([{"CPU": 3}], "PACK", "needs 3 CPU in 1 bundle and can never be placed on this node: it "
         "lacks 3 CPU (this node has 2)."),
        ([{"CPU": 1}] * 2, "STRICT_SPREAD", "can never be placed: STRICT_SPREAD wants a node for "
         "each of its 2 bundles, and there is one node. Use SPREAD"),
        ([{"CPU": 1, "horn": 1}], "PACK", "it lacks 1 horn (this node has 0)"),
    ],
)  # fmt: skip
def test_an_infeasible_group_says_so(ray, capfd, eventually, bundles, strategy, sentence):
    group = placement_group(bundles, strategy=strategy)
    assert not group.wait(30)  # at once
    with pytest.raises(GetTimeoutError):
        ray.get(group.ready(), timeout=0.1)
    row = placement_group_table(group)
    assert (row["state"], row["stats"]["scheduling_state"]) == ("PENDING", "INFEASIBLE")
    said = []
    eventually(lambda: said.append(capfd.readouterr().err) or sentence in "".join(said), True)
    remove_placement_group(group)
    assert free_cpus() == 2


def test_a_single_bundle_may_be_strict_spread(ray):
    assert placement_group(ONE, strategy="STRICT_SPREAD").wait(10)


def test_a_bundle_may_want_labels(capfd):
    bolide.init(num_cpus=2, labels={"zone": "a"})
    assert placement_group(ONE, bundle_label_selector=[{"zone": "in(a, b)"}]).wait(10)
    assert not placement_group(ONE, bundle_label_selector=[{"zone": "c"}]).wait(10)

"""Placement groups. What is refused, and what groups leave alone."""

from __future__ import annotations

import time

import pytest

from bolide.util import (
    get_placement_group,
    remove_placement_group,
)
from bolide.util.placement_group import PlacementGroup
from bolide.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from .groups import ONE, made, placement_group


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"bundles": {"CPU": 1}}, "Placement group bundles must be a list, got <class 'dict'>"),
        ({"bundles": []}, "Got empty list instead"),
        ({"bundles": [{}]}, "Bundles cannot be an empty dictionary"),
        ({"bundles": [{"CPU": 0}]}, "resources with only 0 values"),
        ({"bundles": [{"CPU": -1}]}, r"bundles\[0\]\['CPU'\] is -1, but it must be 0 or more"),
        ({"bundles": ["CPU"]}, r"bundles\[0\] is 'CPU' \(str\)"),
        ({"bundles": ONE, "strategy": "TIGHT"}, "Invalid strategy type TIGHT"),
        ({"bundles": ONE, "lifetime": "long"}, "must be either `None` or 'detached'"),
        ({"bundles": ONE, "name": 3}, "name is 3"),
    ],
)
def test_wrong_arguments_are_told(ray, arguments, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        placement_group(**arguments)


def test_a_name_is_taken_once(ray):
    group = placement_group(ONE, name="one")
    with pytest.raises(ValueError, match="because name 'one' already exists"):
        placement_group(ONE, name="one")
    remove_placement_group(group)
    assert placement_group(ONE, name="one") != group


def test_what_does_not_fit_a_bundle_is_refused(ray, where, Resident):
    group = placement_group([{"CPU": 1}, {"CPU": 0.5}])
    with pytest.raises(ValueError, match="bundle index 2 is invalid. Valid .* 0-1"):
        where.options(placement_group=group, placement_group_bundle_index=2)
    with pytest.raises(ValueError, match="the value of bundle index must be -1"):
        where.options(placement_group_bundle_index=0)
    with pytest.raises(ValueError, match="cannot fit into the bundle 1"):
        where.options(placement_group=group, placement_group_bundle_index=1)
    with pytest.raises(ValueError, match="cannot fit into any bundles"):
        where.options(placement_group=group, resources={"horn": 1})
    with pytest.raises(ValueError, match="requires 1 CPU for creation"):
        Resident.options(placement_group=group, placement_group_bundle_index=1).remote()
    strategy = PlacementGroupSchedulingStrategy(group)
    with pytest.raises(ValueError, match="The placement_group option is deprecated"):
        where.options(placement_group=group, scheduling_strategy=strategy)
    with pytest.raises(TypeError, match="must be a PlacementGroup"):
        where.options(placement_group="g")
    with pytest.raises(ValueError, match="must be a PlacementGroup"):
        remove_placement_group("g")
    with pytest.raises(ValueError, match="non-empty value"):
        get_placement_group("")


def test_a_group_of_a_session_that_was_shut_down_is_refused(ray, where):
    group = placement_group(ONE)
    task = where.options(placement_group=group)
    made.clear()
    ray.shutdown()
    ray.init(num_cpus=1)
    with pytest.raises(ValueError, match="belongs to a bolide session that was shut down"):
        task.remote()


def test_the_empty_group_is_none():
    empty = PlacementGroup.empty()
    assert empty.is_empty
    assert (empty.bundle_specs, empty.bundle_count) == ([], 0)


def test_local_mode_has_groups(local):
    group = placement_group(ONE)
    assert local.get(group.ready()) == group
    assert local.available_resources()["CPU"] == 1
    remove_placement_group(group)
    assert local.available_resources()["CPU"] == 2


def test_groups_do_not_make_plain_tasks_wait(ray):
    """A group that can never be placed holds nothing back."""
    assert not placement_group([{"CPU": 5}]).wait()

    @ray.remote
    def f(x):
        return x

    began = time.monotonic()
    assert ray.get([f.remote(i) for i in range(100)]) == list(range(100))
    assert time.monotonic() - began < 20

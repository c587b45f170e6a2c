"""Placement groups. Running in a group: tasks, actors, GPUs, and what captures its children."""

from __future__ import annotations

import pytest

import bolide
from bolide.util import (
    get_current_placement_group,
    get_placement_group,
    remove_placement_group,
)
from bolide.util import placement_group as make_group
from bolide.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from .groups import ONE, free_cpus, placement_group


def test_a_task_runs_in_its_group(ray, where):
    group = placement_group(ONE)
    strategy = PlacementGroupSchedulingStrategy(group)
    assert ray.get(where.options(scheduling_strategy=strategy).remote()) == group
    assert ray.get(where.options(placement_group=group).remote()) == group
    assert ray.get(where.remote()) is None
    assert get_current_placement_group() is None


def test_an_actor_runs_in_its_bundle(ray, Resident):
    group = placement_group([{"CPU": 1}] * 2)
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=1)
    actor = Resident.options(scheduling_strategy=strategy, num_cpus=1).remote()
    assert ray.get(actor.group.remote()) == group
    second = Resident.options(scheduling_strategy=strategy, num_cpus=1).remote()
    waits = second.group.remote()
    assert ray.wait([waits], timeout=0.1) == ([], [waits])
    ray.kill(actor)
    assert ray.get(waits) == group


def test_tasks_of_a_group_run_while_the_rest_of_the_node_is_busy(ray, latch, channel, where):
    @ray.remote
    def holds():
        channel.say("in")
        latch.wait()

    group = placement_group(ONE)
    ray.get(group.ready())
    tasks = [holds.remote(), holds.remote()]
    channel.hear()
    assert ray.get(where.options(placement_group=group).remote()) == group
    assert len(ray.wait(tasks, num_returns=2, timeout=0)[1]) == 2
    latch.open()
    ray.get(tasks)


def test_a_task_in_a_group_that_waits_for_another_lends_its_cpu(ray, where):
    group = placement_group(ONE)
    inner = where.options(placement_group=group)

    @ray.remote
    def outer():
        return bolide.get(inner.remote())

    assert ray.get(outer.options(placement_group=group).remote()) == group


def test_a_group_has_gpus(ray):
    ray.shutdown()
    ray.init(num_cpus=1, num_gpus=2)

    @ray.remote(num_gpus=1)
    def device():
        return ray.get_gpu_ids()

    group = placement_group([{"CPU": 1, "GPU": 1}])
    in_group = ray.get(device.options(placement_group=group, num_cpus=0).remote())
    outside = ray.get([device.options(num_cpus=0).remote() for _ in range(3)])
    assert len(in_group) == 1
    assert all(ids != in_group for ids in outside)


def test_a_handle_travels_and_a_name_finds_it(ray):
    group = placement_group(ONE, name="mine", lifetime="detached")

    @ray.remote
    def look(handle):
        return get_placement_group("mine") == handle, handle.bundle_specs, handle.wait(10)

    assert ray.get(look.remote(group)) == (True, [{"CPU": 1}], True)
    assert get_placement_group("mine") == group
    remove_placement_group(group)
    with pytest.raises(ValueError, match="Failed to look up placement group with name: mine"):
        get_placement_group("mine")


def test_a_task_makes_and_removes_a_group(ray, eventually):
    @ray.remote(num_cpus=0)
    def with_group():
        group = make_group([{"CPU": 2}])
        found = bolide.get(group.ready()) == group
        remove_placement_group(group)
        return found

    assert ray.get(with_group.remote())
    eventually(free_cpus, 2)


def test_the_runtime_context_tells_the_id(ray):
    @ray.remote
    def own():
        return bolide.get_runtime_context().get_placement_group_id()

    group = placement_group(ONE)
    assert ray.get(own.options(placement_group=group).remote()) == group.id.hex()
    assert ray.get(own.remote()) is None
    assert bolide.get_runtime_context().get_placement_group_id() is None


def test_children_of_a_capturing_task_run_in_its_group(ray, where, Resident):
    @ray.remote
    def parent():
        outside = where.options(
            scheduling_strategy=PlacementGroupSchedulingStrategy(None), num_cpus=0
        )
        actor = Resident.remote()
        return bolide.get([where.remote(), outside.remote(), actor.group.remote()])

    group = placement_group([{"CPU": 1}] * 2)
    captures = PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    options = parent.options(scheduling_strategy=captures)
    assert ray.get(options.remote()) == [group, None, group]


def test_children_of_other_tasks_do_not(ray, where):
    @ray.remote(num_cpus=0)
    def parent():
        return bolide.get(where.remote())

    group = placement_group(ONE)
    captures = {"placement_group": group, "placement_group_capture_child_tasks": True}
    assert ray.get(parent.options(**captures).remote()) == group
    assert ray.get(parent.options(placement_group=group).remote()) is None
    assert ray.get(parent.options(**captures).remote()) == group
    assert ray.get(parent.remote()) is None


def test_an_actor_captures_for_life(ray, where, Resident):
    group = placement_group(ONE)
    captures = PlacementGroupSchedulingStrategy(group, 0, True)
    actor = Resident.options(scheduling_strategy=captures).remote()
    for _ in range(2):
        assert ray.get(actor.child.remote(where)) == group
    assert ray.get(actor.nested.remote(Resident)) == group


def test_a_child_that_does_not_fit_is_refused(ray, where):
    @ray.remote
    def parent():
        where.options(num_cpus=2).remote()

    group = placement_group(ONE)
    captures = PlacementGroupSchedulingStrategy(group, 0, True)
    with pytest.raises(ValueError, match="cannot fit into any bundles"):
        ray.get(parent.options(scheduling_strategy=captures).remote())

"""Placement groups. Removing a group, and what is forgotten with it."""

from __future__ import annotations

import pytest

from bolide.exceptions import (
    ActorPlacementGroupRemoved,
    TaskPlacementGroupRemoved,
)
from bolide.util import (
    get_placement_group,
    placement_group_table,
    remove_placement_group,
)
from bolide.util import placement_group as make_group

from .groups import ONE, free_cpus, placement_group


def test_removal_fails_what_runs_and_what_waits(ray, latch, channel, Resident, eventually):
    @ray.remote
    def holds(*_):
        channel.say("in")
        latch.wait()

    group = placement_group(ONE, name="doomed")
    in_group = holds.options(placement_group=group)
    running = in_group.remote()
    channel.hear()
    dependent = holds.remote(running)
    tasks = [running, in_group.remote(), in_group.remote(dependent), dependent]
    actor = Resident.options(placement_group=group, num_cpus=0, max_restarts=-1).remote()
    ray.get(actor.group.remote())
    remove_placement_group(group)
    call = actor.group.remote()
    for ref in tasks:
        with pytest.raises(TaskPlacementGroupRemoved, match="holds' cannot .* group 'doomed'"):
            ray.get(ref, timeout=10)
    with pytest.raises(ActorPlacementGroupRemoved, match="The actor 'Resident' .* 'doomed'"):
        ray.get(call, timeout=10)
    eventually(free_cpus, 2)
    with pytest.raises(TaskPlacementGroupRemoved):
        ray.get(in_group.remote(), timeout=10)
    with pytest.raises(TaskPlacementGroupRemoved):
        ray.get(group.ready(), timeout=10)
    late = Resident.options(placement_group=group).remote()
    with pytest.raises(ActorPlacementGroupRemoved):
        ray.get(late.group.remote(), timeout=10)
    assert not group.wait(10)


def test_a_pending_group_is_removed(ray):
    first = placement_group([{"CPU": 2}])
    second = placement_group(ONE)
    ready = second.ready()
    ray.get(first.ready())
    remove_placement_group(second)
    with pytest.raises(TaskPlacementGroupRemoved):
        ray.get(ready, timeout=10)


def test_a_hundred_groups_come_and_go_with_their_tasks_in_flight(ray, where, sleepy, eventually):
    total = ray.cluster_resources()
    for i in range(100):
        group = make_group([{"CPU": 1}] * (1 + i % 2), strategy="SPREAD")
        in_group = where.options(placement_group=group)
        refs = [in_group.remote() for _ in range(3)]
        stuck = sleepy.options(placement_group=group, max_retries=-1).remote()
        if i % 3 == 0:
            ray.get(refs)
        remove_placement_group(group)
        with pytest.raises(TaskPlacementGroupRemoved):
            ray.get(stuck, timeout=10)
        del group, in_group, refs, stuck
    eventually(ray.available_resources, total)
    assert ray.get(where.remote()) is None


def test_a_removed_group_is_forgotten_with_its_last_handle(ray, eventually):
    groups = [make_group(ONE) for _ in range(3)]
    for group in groups:
        remove_placement_group(group)
    assert len(placement_group_table()) == 3
    del group, groups
    eventually(lambda: len(placement_group_table()), 0)


def test_a_group_outlives_its_handles(ray):
    make_group(ONE, name="kept")
    group = get_placement_group("kept")
    assert group.wait(10)
    remove_placement_group(group)

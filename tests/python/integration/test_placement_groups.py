"""Placement groups: reservation, what runs in them, capture, removal, and what is refused."""

from __future__ import annotations

import time

import pytest

import bolide
from bolide.exceptions import (
    ActorPlacementGroupRemoved,
    GetTimeoutError,
    TaskPlacementGroupRemoved,
)
from bolide.util import (
    get_current_placement_group,
    get_placement_group,
    placement_group_table,
    remove_placement_group,
)
from bolide.util import placement_group as make_group
from bolide.util.placement_group import PlacementGroup
from bolide.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ONE = [{"CPU": 1}]


_made = []


def placement_group(*args, **kwargs):
    """A group that is removed when the test is over."""
    _made.append(make_group(*args, **kwargs))
    return _made[-1]


@pytest.fixture(autouse=True)
def no_group_is_left():
    yield
    if bolide.is_initialized():
        for group in _made:
            remove_placement_group(group)
    _made.clear()


def free_cpus():
    return bolide.available_resources().get("CPU", 0)


@pytest.fixture
def where(ray):
    """A task that tells the group in which it runs."""

    @ray.remote
    def where():
        return get_current_placement_group()

    return where


@pytest.fixture
def Resident(ray):
    """An actor that tells its group, and whether what it starts is in it."""

    @ray.remote
    class Resident:
        def group(self):
            return get_current_placement_group()

        def child(self, task):
            return bolide.get(task.remote())

        def nested(self, cls):
            actor = cls.remote()
            return bolide.get(actor.group.remote())

    return Resident


# ---- reserving


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


# ---- running in it


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


# ---- capturing


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


# ---- removing


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


# ---- wrong use


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
    _made.clear()
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

"""The state API: what it lists of everything, filters, summaries, wrong use."""

from __future__ import annotations

import os

import pytest

import bolide
from bolide.util import placement_group, remove_placement_group, state


@pytest.fixture
def holds(ray, latch, channel):
    """A task that says "in" and waits at the latch."""

    @ray.remote
    def holds(*_):
        channel.say("in")
        latch.wait()

    return holds


def test_tasks_by_state(ray, holds, latch, channel):
    running = holds.options(num_cpus=2, name="first").remote()
    channel.hear()
    queued = holds.options(num_cpus=2).remote()
    waiting = holds.remote(running)
    rows = {row.task_id: row for row in state.list_tasks()}
    assert len(rows) == 3
    row = rows[running.task_id().hex()]
    assert (row.name, row.state, row.type) == ("first", "RUNNING", "NORMAL_TASK")
    assert row.worker_pid in [each.pid for each in state.list_workers()]
    assert rows[queued.task_id().hex()].state == "PENDING_NODE_ASSIGNMENT"
    assert rows[waiting.task_id().hex()].state == "PENDING_ARGS_AVAIL"
    assert state.get_task(running.task_id().hex())["name"] == "first"
    assert state.get_task("0" * 48) is None
    assert len(state.list_tasks(filters=[("state", "!=", "running")])) == 2
    assert len(state.list_tasks(filters=[("state", "=", "RUNNING"), ("name", "=", "x")])) == 0
    assert len(state.list_tasks(limit=1)) == 1
    summary = state.summarize_tasks()["cluster"]
    assert summary["total_tasks"] == 3
    assert summary["summary"]["first"]["state_counts"] == {"RUNNING": 1}
    latch.open()
    ray.get([running, queued, waiting])
    assert state.list_tasks() == []


def test_calls_of_actors(ray, latch, channel):
    @ray.remote
    class Holder:
        def hold(self):
            channel.say("in")
            latch.wait()

    actor = Holder.options(name="holder", namespace="n").remote()
    ref = actor.hold.remote()
    channel.hear()
    (task,) = state.list_tasks()
    (row,) = state.list_actors()
    assert (task.name, task.type, task.state) == ("Holder.hold", "ACTOR_TASK", "RUNNING")
    assert task.actor_id == row.actor_id == actor._actor_id.hex()
    assert (row.class_name, row.state, row.name, row.ray_namespace) == (
        "Holder", "ALIVE", "holder", "n"
    )  # fmt: skip
    assert row.pid == task.worker_pid
    assert state.get_actor(row.actor_id).pid == row.pid
    assert state.summarize_actors()["cluster"]["summary"] == {
        "Holder": {"class_name": "Holder", "state_counts": {"ALIVE": 1}}
    }
    latch.open()
    ray.get(ref)
    ray.kill(actor)
    with pytest.raises(bolide.exceptions.ActorDiedError):
        ray.get(actor.hold.remote())
    (row,) = state.list_actors(filters=[("state", "=", "DEAD")])
    assert "killed" in row.death_cause


def test_objects(ray):
    large = ray.put(b"x" * 100_000)
    (row,) = state.get_objects(large.hex())
    assert (row.where, row.reference_type, row.pid) == ("memory", "LOCAL_REFERENCE", os.getpid())
    assert row.object_size >= 100_000
    assert state.list_objects(filters=[("object_id", "=", large.hex())]) == [row]
    summary = state.summarize_objects()["cluster"]
    assert summary["total_objects"] >= 1
    assert summary["total_size_mb"] >= 0.09


def test_nodes_jobs_workers_and_groups(ray):
    @ray.remote
    def look():
        return os.getpid(), [row.pid for row in state.list_workers()]

    pid, pids = ray.get(look.remote())
    assert pids[0] == os.getpid()
    assert pid in pids[1:]
    (node,) = state.list_nodes()
    assert node.node_id == ray.get_runtime_context().get_node_id()
    assert node.resources_total["CPU"] == 2
    assert state.get_node(node.node_id).state == "ALIVE"
    (job,) = state.list_jobs(filters=[("status", "=", "RUNNING")])
    assert job.driver_pid == os.getpid()
    assert state.get_job(job.job_id).type == "DRIVER"
    assert [row.worker_type for row in state.list_workers()][0] == "DRIVER"
    group = placement_group([{"CPU": 1}], name="g")
    (row,) = state.list_placement_groups()
    assert (row.placement_group_id, row.name) == (group.id.hex(), "g")
    assert state.get_placement_group(group.id.hex()).state in ("PENDING", "CREATED")
    remove_placement_group(group)
    assert state.list_runtime_envs()[0].success


def test_wrong_use_is_told(ray):
    with pytest.raises(ValueError, match="Unsupported filter predicate '<'"):
        state.list_workers(filters=[("pid", "<", 3)])
    with pytest.raises(ValueError, match="Invalid filter key 'size'"):
        state.list_workers(filters=[("size", "=", 3)])
    with pytest.raises(ValueError, match="a filter is 'pid=3'"):
        state.list_workers(filters=["pid=3"])
    with pytest.raises(ValueError, match="limit is 0, but it must be from 1 to 10000"):
        state.list_workers(limit=0)

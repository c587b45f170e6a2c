"""What tasks, actors and the driver know of themselves and of the node: Ray's pages "Runtime
Context", "Resources", "Accelerator support" and "Labels"."""

from __future__ import annotations

import asyncio
import os

import pytest

import bolide
from bolide import _accelerators


def told():
    """Everything that does not raise, by name, in the process that asks."""
    context = bolide.get_runtime_context()
    return {
        "job": context.get_job_id(),
        "node": context.get_node_id(),
        "worker": context.get_worker_id(),
        "task": context.get_task_id(),
        "task name": context.get_task_name(),
        "function": context.get_task_function_name(),
        "actor": context.get_actor_id(),
        "resources": context.get_assigned_resources(),
        "namespace": context.namespace,
    }


def test_driver_and_task_know_their_ids(ray):
    @ray.remote
    def ask():
        return told(), os.getpid(), ray.get_runtime_context().get()

    ref = ask.remote()
    inside, pid, short = ray.get(ref)
    outside = told()
    assert outside["task"] is outside["function"] is outside["task name"] is None
    assert outside["resources"] == {}
    for name in ("job", "node", "namespace"):
        assert inside[name] == outside[name]
    assert inside["node"] == ray.nodes()[0]["NodeID"]
    assert [len(inside[name]) for name in ("job", "node", "worker", "task")] == [8, 56, 56, 48]
    assert inside["worker"] != outside["worker"] and int(inside["worker"][-16:], 16) == pid
    assert inside["task"] == ref.task_id().hex() == ref.hex()[:48]
    assert inside["job"] == ref.job_id().hex() == "01000000"
    assert inside["function"].endswith("ask") and inside["task name"] == inside["function"]
    assert inside["actor"] is None
    assert inside["resources"] == {"CPU": 1.0}
    assert short == {
        "job_id": inside["job"],
        "node_id": inside["node"],
        "namespace": inside["namespace"],
        "task_id": inside["task"],
    }


def test_a_task_has_the_name_that_it_was_given(ray, capfd):
    @ray.remote
    def ask():
        print("hello")
        return told()

    inside = ray.get(ask.options(name="the name", num_cpus=0.5).remote())
    assert inside["task name"] == "the name" and inside["function"].endswith("ask")
    assert inside["resources"] == {"CPU": 0.5}
    assert capfd.readouterr().out.startswith("(the name pid=")


def test_tasks_have_different_ids_and_a_nested_one_its_own(ray):
    @ray.remote
    def inner():
        return told()["task"]

    @ray.remote
    def outer():
        before = told()["task"]
        nested = ray.get(inner.remote())
        return before, nested, told()["task"]

    before, nested, after = ray.get(outer.remote())
    assert before == after != nested


def test_a_method_knows_its_call_and_its_actor(ray):
    @ray.remote(num_cpus=0.5)
    class Actor:
        def ask(self):
            return told()

    actor = Actor.remote()
    ref = actor.ask.remote()
    inside = ray.get(ref)
    assert inside["task"] == ref.task_id().hex()
    assert inside["function"] == "Actor.ask"
    assert inside["actor"] == actor._actor_id.hex()
    assert inside["resources"] == {"CPU": 0.5}


def test_coroutines_beside_each_other_know_their_own_calls(ray):
    @ray.remote
    class Actor:
        async def ask(self):
            await asyncio.sleep(0)
            return told()

    actor = Actor.remote()
    refs = [actor.ask.options(name=str(i)).remote() for i in range(20)]
    for i, (ref, inside) in enumerate(zip(refs, ray.get(refs))):
        assert (inside["task"], inside["task name"]) == (ref.task_id().hex(), str(i))


def test_what_has_no_meaning_on_one_node_is_empty(ray):
    context = ray.get_runtime_context()
    assert context.gcs_address == "" and context.get_placement_group_id() is None
    assert context.runtime_env == {} and context.get_runtime_env_string() == "{}"
    assert os.path.isdir(context.get_temp_dir())
    assert context.get_session_name().startswith("session_")


def test_a_worker_asks_the_node_for_its_resources():
    bolide.init(num_cpus=2, resources={"disk": 3})

    @bolide.remote(resources={"disk": 2})
    def ask():
        return bolide.cluster_resources(), bolide.available_resources(), bolide.nodes()

    total, free, nodes = bolide.get(ask.remote())
    assert total == bolide.cluster_resources() and nodes == bolide.nodes()
    assert (total["CPU"], total["disk"], free["CPU"], free["disk"]) == (2.0, 3.0, 1.0, 1.0)
    assert total["node:127.0.0.1"] == total["node:__internal_head__"] == 1.0
    assert "GPU" not in total


@pytest.mark.parametrize("ask", [bolide.nodes, bolide.cluster_resources, told])
def test_what_is_asked_without_a_runtime_says_so(ask):
    with pytest.raises(RuntimeError, match=r"not running in this process; call bolide.init\(\)"):
        ask()


@pytest.fixture
def gpus(monkeypatch):
    """A runtime that was told of GPUs 4 and 6."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    bolide.init(num_cpus=4)


def see_gpus():
    """What a task sees of them."""
    return (
        bolide.get_gpu_ids(),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        bolide.get_runtime_context().get_accelerator_ids(),
    )


def test_gpus_are_those_that_the_driver_may_use(gpus):
    assert bolide.cluster_resources()["GPU"] == 2.0
    assert bolide.get_gpu_ids() == []
    see = bolide.remote(see_gpus)
    one = bolide.get(see.options(num_gpus=1).remote())
    assert one in [([4], "4", {"GPU": ["4"]}), ([6], "6", {"GPU": ["6"]})]
    assert bolide.get(see.options(num_gpus=2).remote()) == ([4, 6], "4,6", {"GPU": ["4", "6"]})
    assert bolide.get(see.remote()) == ([], "", {"GPU": []})


def test_tasks_at_a_time_have_different_gpus_and_parts_share_one(gpus, make_latch, channel):
    latch = make_latch()

    @bolide.remote
    def hold():
        channel.say(os.environ["CUDA_VISIBLE_DEVICES"])
        latch.wait()

    half = [hold.options(num_gpus=0.5).remote() for _ in range(2)]
    assert len(set(channel.hear(2))) == 1
    whole = hold.options(num_gpus=1).remote()
    channel.hear()
    latch.open()
    bolide.get([*half, whole])


def test_an_actor_keeps_its_gpu(gpus):
    @bolide.remote(num_gpus=1)
    class Actor:
        def __init__(self):
            self.first = see_gpus()

        def see(self):
            return self.first, see_gpus()

    actors = [Actor.remote() for _ in range(2)]
    seen = bolide.get([actor.see.remote() for actor in actors for _ in range(2)])
    assert seen[0] == seen[1] and seen[2] == seen[3]
    assert sorted([seen[0][0][0], seen[2][1][0]]) == [[4], [6]]
    bolide.kill(actors[0])
    see = bolide.remote(num_gpus=1)(see_gpus)
    assert bolide.get(see.remote())[0] == seen[0][0][0]


def test_more_gpus_than_may_be_used_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ValueError, match="num_gpus is 2, but CUDA_VISIBLE_DEVICES names 1 GPUs"):
        bolide.init(num_gpus=2)


def test_gpus_are_counted_and_named_from_what_the_driver_module_lists(monkeypatch, tmp_path):
    for i in range(2):
        device = tmp_path / f"0000:0{i}:00.0"
        device.mkdir()
        (device / "information").write_text("Model: \t\t Tesla V100-SXM2-16GB\nIRQ: 8\n")
    monkeypatch.setattr(_accelerators, "_DEVICES", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _accelerators.find(None) == (2.0, ["0", "1"])
    assert _accelerators.kind() == "V100"
    bolide.init(num_cpus=1)
    see = bolide.remote(accelerator_type="V100", num_gpus=1)(see_gpus)
    assert bolide.get(see.remote())[0] in ([0], [1])


@pytest.fixture
def labelled():
    """A runtime with labels."""
    bolide.init(num_cpus=1, labels={"zone": "a", "disk": "ssd"})


def labels():
    return bolide.get_runtime_context().get_node_labels()


FITTING = ["a", "!b", "in(a, b)", "!in(b, c)"]
NOT_FITTING = ["b", "!a", "in(b, c)", "!in(a)"]


@pytest.mark.parametrize("condition", FITTING)
def test_a_label_selector_that_fits_changes_nothing(labelled, condition):
    ask = bolide.remote(label_selector={"zone": condition, "disk": "ssd"})(labels)
    found = bolide.get(ask.remote())
    assert found == labels() == bolide.nodes()[0]["Labels"]
    assert (found["zone"], found["disk"]) == ("a", "ssd")
    assert found["ray.io/node-id"] == bolide.get_runtime_context().get_node_id()


@pytest.mark.parametrize("condition", NOT_FITTING)
def test_one_that_does_not_fit_waits_with_a_warning(labelled, condition, capfd, eventually):
    ask = bolide.remote(label_selector={"zone": condition})(labels)
    ref = ask.remote()
    said = []
    eventually(lambda: said.append(capfd.readouterr().err) or "never run" in "".join(said), True)
    assert f"it lacks 0.0001 a node with label zone={condition}" in "".join(said)
    assert bolide.wait([ref], timeout=0) == ([], [ref])
    bolide.cancel(ref)


def test_an_accelerator_that_is_not_there_is_named(ray, capfd, eventually):
    ref = ray.remote(accelerator_type="A100")(labels).remote()
    said = []
    eventually(lambda: said.append(capfd.readouterr().err) or "never run" in "".join(said), True)
    assert "accelerator_type:A100" in "".join(said)
    ray.cancel(ref)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"zone": 1}, "takes strings"),
        ({"zone": "in(a"}, "which is no condition"),
        (["zone"], "label_selector must be a dict of strings, not"),
    ],
)
def test_wrong_selectors_are_refused(wrong, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        bolide.remote(label_selector=wrong)(labels)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["a"], "labels must be a dict of strings, not"),
        ({"a": 1}, "but it has 'a': 1"),
        ({"ray.io/node-id": "x"}, "keys under ray.io/ are the runtime's own"),
    ],
)
def test_wrong_labels_are_refused(wrong, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        bolide.init(labels=wrong)


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("0, 1", ["0", "1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,-1,3", ["2"]),
        (" GPU-8f0a , NoDevFiles", ["GPU-8f0a"]),
    ],
)
def test_the_list_of_visible_gpus_ends_where_cuda_ends_it(monkeypatch, visible, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _accelerators.find(None) == (float(len(names)), names)

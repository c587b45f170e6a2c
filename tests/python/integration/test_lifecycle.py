"""init, shutdown and what is between: order, repetition, threads, keywords."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

import bolide
from bolide.testing import leak_gate


@bolide.remote
def increment(x):
    return x + 1


def test_init_returns_what_ray_returns():
    context = bolide.init(num_cpus=1, namespace="mine")
    assert context.address_info is not None
    assert {
        "node_ip_address", "raylet_ip_address", "redis_address", "object_store_address",
        "raylet_socket_name", "webui_url", "session_dir", "metrics_export_port", "gcs_address",
        "address", "dashboard_agent_listen_port", "node_id",
    } <= set(context)  # fmt: skip
    assert context["node_id"] == bolide.nodes()[0]["NodeID"]
    assert dict(context) == context.address_info
    assert len(context) == len(list(context))
    assert context.namespace == "mine"
    assert context.python_version
    assert context.dashboard_url == ""
    assert context.ray_version
    with pytest.raises(KeyError):
        context["no such key"]


def test_a_context_manager_ends_the_runtime():
    with bolide.init(num_cpus=1) as context:
        assert context["address"]
        assert bolide.get(increment.remote(1)) == 2
    assert not bolide.is_initialized()


def test_a_context_manager_ends_the_runtime_after_an_error():
    with pytest.raises(KeyError), bolide.init(num_cpus=1):
        raise KeyError
    assert not bolide.is_initialized()


def test_init_twice(ray):
    with pytest.raises(RuntimeError, match=r"Maybe you called ray.init twice by accident\?"):
        ray.init()
    again = ray.init(ignore_reinit_error=True)
    assert again["node_id"] == ray.nodes()[0]["NodeID"]
    assert ray.get(increment.remote(1)) == 2


def test_shutdown_twice_and_without_init():
    bolide.shutdown()
    bolide.init(num_cpus=1)
    bolide.shutdown()
    bolide.shutdown()
    assert not bolide.is_initialized()


@pytest.mark.parametrize("first", ["remote", "put"])
def test_the_first_use_starts_the_runtime(first):
    assert not bolide.is_initialized()
    ref = increment.remote(4) if first == "remote" else bolide.put(5)
    assert bolide.get(ref) == 5
    assert bolide.is_initialized()


def test_a_function_serves_several_sessions():
    for i in range(3):
        bolide.init(num_cpus=1)
        assert bolide.get(increment.remote(i)) == i + 1
        bolide.shutdown()


def test_twenty_sessions_leave_nothing():
    for i in range(20):
        with leak_gate():
            bolide.init(num_cpus=2)
            refs = [increment.remote(i) for _ in range(10)] + [bolide.put(b"x" * 300_000)]
            assert bolide.get(refs)[:2] == [i + 1, i + 1]
            bolide.shutdown()
            del refs


def test_shutdown_with_tasks_that_run_and_wait(latch, channel):
    bolide.init(num_cpus=2)

    @bolide.remote
    def stuck():
        channel.say("in")
        latch.wait()

    refs = [stuck.remote() for _ in range(100)]
    refs.append(increment.remote(refs[0]))
    channel.hear(2)
    bolide.shutdown()
    assert len(refs) == 101


def test_init_in_a_thread_that_ends():
    thread = threading.Thread(target=bolide.init, kwargs={"num_cpus": 2})
    thread.start()
    thread.join()
    pids = []

    @bolide.remote
    def pid():
        return os.getpid()

    for _ in range(3):
        pids.append(bolide.get(pid.remote()))
    assert bolide.get(increment.remote(1)) == 2
    bolide.shutdown()


def test_init_and_shutdown_in_different_threads():
    for action in (lambda: bolide.init(num_cpus=1), bolide.shutdown):
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()
    assert not bolide.is_initialized()


def test_the_numbers_of_init(ray):
    ray.shutdown()
    ray.init(num_cpus=3, num_gpus=1, resources={"licence": 2.5})
    total = ray.cluster_resources()
    assert (total["CPU"], total["GPU"], total["licence"]) == (3, 1, 2.5)
    assert total["memory"] > 2**28
    (node,) = ray.nodes()
    assert node["Alive"] is True
    assert node["Resources"]["CPU"] == 3


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"num_cpus": -1}, ValueError),
        ({"num_cpus": "2"}, TypeError),
        ({"num_cpus": float("nan")}, ValueError),
        ({"num_gpus": -1}, ValueError),
        ({"resources": {"a": -1}}, ValueError),
        ({"resources": {"CPU": 1}}, ValueError),
        ({"resources": {"": 1}}, ValueError),
        ({"object_store_memory": 10}, ValueError),
        ({"object_store_memory": "much"}, ValueError),
        ({"address": "ray://elsewhere:10001"}, ConnectionError),
        ({"namespace": 3}, TypeError),
        ({"namespace": ""}, ValueError),
        ({"no_such_keyword": 1}, RuntimeError),
        ({"_no_such_keyword": 1}, RuntimeError),
    ],
)
def test_a_wrong_keyword(keywords, error):
    with pytest.raises(error):
        bolide.init(**keywords)
    assert not bolide.is_initialized()
    bolide.init(num_cpus=1)
    assert bolide.get(increment.remote(1)) == 2


def test_an_unknown_keyword_is_named():
    with pytest.raises(RuntimeError, match=r"Unknown keyword argument\(s\): no_such"):
        bolide.init(no_such=1)


def test_private_keywords_of_ray_warn_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bolide.init(num_cpus=1, _temp_dir="/tmp/x", _system_config={}, include_dashboard=False)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 1
    assert "_temp_dir" in texts[0]
    assert "_system_config" in texts[0]
    assert "include_dashboard" not in texts[0]
    assert caught[0].filename == __file__


def test_no_cpu_at_all():
    bolide.init(num_cpus=0)

    @bolide.remote(num_cpus=0)
    def free():
        return "ran"

    assert bolide.get(free.remote()) == "ran"


def test_a_killed_template_is_replaced(ray, eventually):
    import signal

    node = bolide._runtime._node
    old = node.template_pid()
    assert ray.get(increment.remote(1)) == 2
    os.kill(old, signal.SIGKILL)
    eventually(lambda: node.template_pid() not in (old, -1, 0), True)
    assert ray.get([increment.remote(i) for i in range(50)]) == list(range(1, 51))

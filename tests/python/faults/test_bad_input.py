"""Calls with bad arguments: each is a clear error, and the runtime goes on (B2-11 to 15)."""

from __future__ import annotations

import os
import threading
import time

import pytest
from bad_input_tools import goes_on, same
from fault_tools import wait_until

import bolide
from bolide.exceptions import (
    GetTimeoutError,
    RayError,
    RaySystemError,
    RayTaskError,
)


@pytest.mark.parametrize("value", [5, None, "ref", 2.5, object(), {}, (1,), b"x"])
def test_b2_11_get_of_what_is_no_reference(one, value):
    with pytest.raises((TypeError, ValueError), match="ObjectRef"):
        one.get(value)
    with pytest.raises((TypeError, ValueError), match="ObjectRef"):
        one.get([one.put(1), value])
    with pytest.raises(TypeError):
        one.wait([value])
    with pytest.raises(TypeError):
        one.wait(value)
    goes_on(one)


def test_b2_11_reference_of_another_session(start):
    runtime = start(num_cpus=1)
    old = runtime.put([1])
    unfinished = bolide.remote(lambda: threading.Event().wait()).remote()
    bolide.shutdown()
    runtime = start(num_cpus=1)
    for use in (
        lambda: runtime.get(old),
        lambda: runtime.get([old]),
        lambda: runtime.get(unfinished),
        lambda: runtime.get([runtime.put(1), unfinished]),
        lambda: same.remote(old),
        lambda: runtime.get(same.remote([old])),
    ):
        with pytest.raises((RaySystemError, ValueError)):
            use()
    goes_on(runtime)


def test_b2_12_wait_with_bad_numbers(one):
    refs = [one.put(i) for i in range(3)]
    for bad in (0, -1, 4, 10**30):
        with pytest.raises(ValueError):
            one.wait(refs, num_returns=bad)
    for bad in (1.5, "1", None, True):
        with pytest.raises(TypeError):
            one.wait(refs, num_returns=bad)
    with pytest.raises(ValueError, match="unique"):
        one.wait([refs[0], refs[0]])
    for bad in (float("nan"), -1):
        with pytest.raises(ValueError, match="timeout"):
            one.wait(refs, timeout=bad)
        with pytest.raises(ValueError, match="timeout"):
            one.get(refs, timeout=bad)
    with pytest.raises(TypeError, match="timeout"):
        one.get(refs, timeout="1")
    assert one.wait([]) == ([], [])
    assert one.get([]) == []
    goes_on(one)


@pytest.mark.parametrize(
    "options",
    [
        {"num_cpus": -1}, {"num_cpus": float("nan")}, {"num_cpus": "2"}, {"num_gpus": -0.5},
        {"resources": {"x": -1}}, {"resources": {"CPU": 1}}, {"resources": 3}, {"max_retries": -2},
        {"max_retries": 1.5}, {"num_returns": -1}, {"num_returns": 2.5}, {"no_such_option": 1},
        {"memory": -1}, {"name": 3},
    ],
    ids=str,
)  # fmt: skip
def test_b2_13_bad_options(one, options):
    (name,) = options
    with pytest.raises((ValueError, TypeError), match=name):
        same.options(**options)
    with pytest.raises((ValueError, TypeError), match=name):
        bolide.remote(**options)(lambda: 1)
    goes_on(one)


def test_b2_13_infeasible_request_warns_and_goes_on(program):
    run = program(
        """
ray.init(num_cpus=2, resources={"license": 1})
f = ray.remote(lambda: 1)
began = time.monotonic()
refs = [
    f.options(num_cpus=5).remote(),
    f.options(resources={"dongle": 2}).remote(),
    f.options(num_cpus=1, resources={"license": 1.5}).remote(),
]
say("submitted")
say("others", ray.get([f.remote() for _ in range(5)]))
ready, rest = ray.wait(refs, timeout=1)
say("waited", len(ready), len(rest))
ray.shutdown()
"""
    )
    run.expect("submitted")
    said = time.monotonic()
    lines = []
    while len(lines) < 3:
        lines.append(run.process.stderr.readline())
        assert time.monotonic() - said < 5
    assert run.expect("others") == "[1, 1, 1, 1, 1]"
    assert run.expect("waited") == "0 3"
    code, _, err = run.finish()
    assert code == 0 and err == ""
    for line, missing in zip(
        sorted(lines, key=len),
        ("5 CPU (this node has 2)", "2 dongle (this node has 0)", "1.5 license (this node has 1)"),
    ):
        assert line.startswith("bolide: ") and "can never run on this node" in line, line
        assert f"it lacks {missing}. " in line


def test_b2_13_infeasible_request_warns_while_the_driver_does_nothing(program):
    """A task of a task asks for what there is not, and no thread is in a call."""
    run = program(
        """
ray.init(num_cpus=1)
never = ray.remote(num_gpus=1)(lambda: 1)
refs = ray.get(ray.remote(lambda: [never.remote()]).remote())
say("submitted")
signal.pause()
"""
    )
    run.expect("submitted")
    submitted = time.monotonic()
    line = run.process.stderr.readline()
    assert time.monotonic() - submitted < 5
    assert "it lacks 1 GPU (this node has 0). Start the runtime with more (num_cpus, " in line


@pytest.mark.parametrize("returned", [(), (1,), (1, 2, 3), 5, None])
def test_b2_14_num_returns_that_do_not_match(one, returned):
    task = bolide.remote(num_returns=2)(lambda: returned)
    for ref in task.remote():
        with pytest.raises(ValueError, match="num_returns=2.*must return 2 values"):
            one.get(ref)
    goes_on(one)


def test_b2_14_one_of_several_returns_that_cannot_be_pickled(one):
    task = bolide.remote(num_returns=3)(lambda: (1, threading.Lock(), bytes(100_000)))
    for ref in task.remote():
        with pytest.raises(RayTaskError, match="lock"):
            one.get(ref)
    del ref
    goes_on(one)
    wait_until(lambda: one.stats["store"]["live"] == 0)


def test_b2_15_init_twice_and_use_after_shutdown(start):
    runtime = start(num_cpus=1)
    with pytest.raises(RuntimeError, match="ray.init twice"):
        bolide.init()
    assert (
        bolide.init(ignore_reinit_error=True)["address"]
        == bolide.init(ignore_reinit_error=True)["address"]
    )
    ref = runtime.put([1])
    done = same.remote(3)
    assert runtime.get(done) == 3
    bolide.shutdown()
    bolide.shutdown()
    assert not bolide.is_initialized()
    for old in (ref, done):
        with pytest.raises(RaySystemError, match=r"shut down.*bolide.init\(\)"):
            bolide.get(old)
        with pytest.raises(RaySystemError, match="shut down"):
            bolide.wait([old], timeout=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_cpus": -1}, "num_cpus"),
        ({"num_cpus": "2"}, "num_cpus"),
        ({"num_cpus": float("nan")}, "num_cpus"),
        ({"num_gpus": -1}, "num_gpus"),
        ({"resources": {"CPU": 1}}, "CPU"),
        ({"resources": {"x": -1}}, "x"),
        ({"object_store_memory": -1}, "object_store_memory"),
        ({"object_store_memory": "many"}, "object_store_memory"),
        ({"no_such_keyword": 1}, "no_such_keyword"),
        ({"address": "ray://nowhere:1"}, "ray://nowhere:1"),
        ({"runtime_env": {"conda": "x"}}, "runtime_env has 'conda', which this version does not"),
    ],
    ids=str,
)
def test_b2_15_init_with_bad_values(start, options, said):
    with pytest.raises((ValueError, TypeError, RuntimeError, ConnectionError), match=said):
        start(**options)
    assert not bolide.is_initialized()
    goes_on(start(num_cpus=1))


def test_get_times_out_and_can_be_repeated(one, journal, gate):
    from fault_tools import pass_gate

    ref = bolide.remote(pass_gate).remote(gate.path)
    for _ in range(3):
        with pytest.raises(GetTimeoutError, match="Get timed out"):
            one.get(ref, timeout=0.01)
    with pytest.raises(GetTimeoutError):
        one.get(ref, timeout=0)
    gate.open()
    assert one.get(ref, timeout=30) is None


def test_a_failed_dependency_fails_the_task_with_the_first_error(one):
    @bolide.remote
    def fails():
        raise ZeroDivisionError("first")

    bad = fails.remote()
    chain = bad
    for _ in range(50):
        chain = same.remote(chain)
    with pytest.raises(ZeroDivisionError, match="first"):
        one.get(chain)
    with pytest.raises(ZeroDivisionError):
        one.get([same.remote(1), chain])
    del bad, chain
    goes_on(one)


def test_wrong_arguments_are_refused_at_submission(one):
    with pytest.raises(TypeError, match="model"):
        same.remote()
    with pytest.raises(TypeError):
        same.remote(1, 2)
    with pytest.raises(TypeError):
        same.remote(other=1)
    with pytest.raises(TypeError, match="remote"):
        same(1)
    goes_on(one)


def test_every_error_is_a_ray_error(one):
    with pytest.raises(RayError):
        one.get(bolide.remote(max_retries=0)(lambda: os.abort()).remote())
    goes_on(one)

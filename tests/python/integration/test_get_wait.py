"""get and wait: results, limits of time, and what they say to wrong arguments."""

from __future__ import annotations

import time

import pytest

import bolide
from bolide.exceptions import GetTimeoutError


@pytest.fixture
def slow(ray, latch):
    """A reference that is not ready until `latch.open()`."""

    @ray.remote
    def wait():
        latch.wait()
        return "slow"

    return wait.remote()


def test_get_with_a_timeout_that_is_long_enough(ray):
    assert ray.get(ray.put(1), timeout=5) == 1
    assert ray.get([ray.put(1)], timeout=5.5) == [1]
    assert ray.get(ray.put(1), timeout=0) == 1


@pytest.mark.parametrize("timeout", [0, 0.05, 1e-9])
def test_get_runs_out_of_time(ray, slow, latch, timeout):
    began = time.monotonic()
    with pytest.raises(GetTimeoutError, match="Get timed out") as caught:
        ray.get(slow, timeout=timeout)
    assert isinstance(caught.value, TimeoutError)
    assert time.monotonic() - began < timeout + 2
    with pytest.raises(GetTimeoutError, match="1 of 3"):
        ray.get([ray.put(1), slow, ray.put(2)], timeout=timeout)
    latch.open()
    assert ray.get(slow) == "slow"


@pytest.mark.parametrize("wrong", [1, None, "ab", (1, 2), {1: 2}, object(), 1.5, b"id"])
def test_get_of_no_reference(ray, wrong):
    with pytest.raises(ValueError, match=r"Invalid type of object refs, <class '.*'>, is given"):
        ray.get(wrong)


def test_get_of_a_tuple_or_generator_of_references(ray):
    refs = [ray.put(1)]
    for wrong in (tuple(refs), set(refs), iter(refs)):
        with pytest.raises(ValueError, match="must either be an ObjectRef or a list of ObjectRefs"):
            ray.get(wrong)


@pytest.mark.parametrize("wrong", [1, None, "ab", [1]])
def test_get_of_a_list_with_something_else(ray, wrong):
    with pytest.raises(TypeError, match=r"Attempting to call `get` on the value .*not an .*Objec"):
        ray.get([ray.put(1), wrong])


@pytest.mark.parametrize(
    ("timeout", "error"), [(-1, ValueError), (float("nan"), ValueError), ("a", TypeError)]
)
def test_a_wrong_timeout(ray, timeout, error):
    ref = ray.put(1)
    with pytest.raises(error, match="timeout"):
        ray.get(ref, timeout=timeout)
    with pytest.raises(error, match="timeout"):
        ray.wait([ref], timeout=timeout)


def test_get_takes_the_timeout_by_name_only(ray):
    with pytest.raises(TypeError):
        ray.get(ray.put(1), 5)


def test_get_raises_the_first_error_of_a_list(ray):
    @ray.remote
    def fail(error):
        raise error

    with pytest.raises(KeyError):
        ray.get([ray.put(1), fail.remote(KeyError("a")), fail.remote(IndexError("b"))])


def test_an_error_comes_before_a_slow_one(ray, slow, latch):
    @ray.remote
    def fail():
        raise KeyError("now")

    with pytest.raises(KeyError):
        ray.get([fail.remote(), slow], timeout=30)
    latch.open()
    assert ray.get(slow) == "slow"


def test_wait_returns_ready_and_rest_in_order(ray, slow, latch):
    done = [ray.put(i) for i in range(4)]
    refs = [done[3], slow, done[1], done[0]]
    assert ray.wait(refs) == ([done[3]], [slow, done[1], done[0]])
    assert ray.wait(refs, num_returns=3) == ([done[3], done[1], done[0]], [slow])
    assert ray.wait(refs, num_returns=4, timeout=0.01) == ([done[3], done[1], done[0]], [slow])
    latch.open()
    assert ray.wait(refs, num_returns=4) == (refs, [])


def test_wait_with_timeout_zero(ray, slow, latch):
    assert ray.wait([slow], timeout=0) == ([], [slow])
    latch.open()
    assert ray.get(slow) == "slow"
    assert ray.wait([slow], timeout=0) == ([slow], [])


def test_wait_counts_failed_tasks_as_ready(ray):
    @ray.remote
    def fail():
        raise KeyError

    ref = fail.remote()
    assert ray.wait([ref]) == ([ref], [])
    assert ray.wait([ref], fetch_local=False) == ([ref], [])


def test_a_wait_loop(ray):
    @ray.remote
    def same(x):
        return x

    pending, seen = [same.remote(i) for i in range(500)], []
    while pending:
        ready, pending = ray.wait(pending, num_returns=min(7, len(pending)))
        assert 1 <= len(ready) <= 7
        seen += ray.get(ready)
    assert sorted(seen) == list(range(500))


def test_wait_of_nothing(ray):
    assert ray.wait([]) == ([], [])


@pytest.mark.parametrize("wrong", [1, None, "ab", (1, 2), {1: 2}])
def test_wait_of_no_list(ray, wrong):
    with pytest.raises(TypeError, match=r"wait\(\) expected a list of .*, got <class"):
        ray.wait(wrong)


def test_wait_of_one_reference(ray):
    with pytest.raises(TypeError, match=r"wait\(\) expected a list of .*, got a single"):
        ray.wait(ray.put(1))


def test_wait_of_a_list_with_something_else(ray):
    with pytest.raises(
        TypeError, match=r"wait\(\) expected a list of .*, got list containing <class"
    ):
        ray.wait([ray.put(1), 5])


@pytest.mark.parametrize("number", [0, -1])
def test_wait_for_too_few(ray, number):
    with pytest.raises(ValueError, match=rf"Invalid number of objects to return {number}\."):
        ray.wait([ray.put(1)], num_returns=number)


def test_wait_for_too_many(ray):
    with pytest.raises(ValueError, match="num_returns cannot be greater than the number of"):
        ray.wait([ray.put(1)], num_returns=2)


def test_wait_for_half_a_reference(ray):
    with pytest.raises(TypeError, match="num_returns"):
        ray.wait([ray.put(1)], num_returns=1.5)


def test_wait_with_duplicates(ray):
    ref = ray.put(1)
    with pytest.raises(ValueError, match="Wait requires a list of unique"):
        ray.wait([ref, ray.put(2), ref])


def test_references_of_an_ended_session(ray):
    ready, large = ray.put(1), ray.put(b"x" * 300_000)
    ray.shutdown()
    for ref in (ready, large):
        with pytest.raises(bolide.exceptions.RaySystemError, match="shut down"):
            ray.get(ref)
        with pytest.raises(bolide.exceptions.RaySystemError, match="shut down"):
            ray.get([ref])
        with pytest.raises(bolide.exceptions.RaySystemError, match="shut down"):
            ray.wait([ref])
    assert not ray.is_initialized()


def test_references_of_an_earlier_session(ray):
    old = ray.put(1)
    ray.shutdown()
    ray.init(num_cpus=1)
    for call in (lambda: ray.get(old), lambda: ray.get([old]), lambda: ray.wait([old])):
        with pytest.raises((bolide.exceptions.RaySystemError, ValueError), match="shut down"):
            call()
    assert ray.get(ray.put(2)) == 2

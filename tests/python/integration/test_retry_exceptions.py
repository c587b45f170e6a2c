"""retry_exceptions and max_retries=-1: which exceptions run a task again, and how often."""

from __future__ import annotations

import os
import signal

import pytest


class FlakyError(Exception):
    """Of this test module: a worker imports it by name or gets it by value."""


@pytest.mark.parametrize("wanted", [True, [ValueError], (KeyError, ValueError), [Exception]])
def test_a_task_runs_again_until_it_succeeds(ray, journal, wanted):
    @ray.remote(max_retries=5, retry_exceptions=wanted)
    def flaky():
        journal.note("run")
        if len(journal.lines()) < 4:
            raise ValueError("not yet")
        return "done"

    assert ray.get(flaky.remote()) == "done"
    assert len(journal.lines()) == 4


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({"retry_exceptions": True}, 4),
        ({"retry_exceptions": True, "max_retries": 0}, 1),
        ({"retry_exceptions": True, "max_retries": 1}, 2),
        ({"retry_exceptions": [ValueError], "max_retries": 2}, 3),
        ({"retry_exceptions": [LookupError], "max_retries": 2}, 1),
        ({"retry_exceptions": [], "max_retries": 2}, 1),
        ({"retry_exceptions": False, "max_retries": 2}, 1),
        ({"max_retries": -1}, 1),
    ],
)
def test_the_last_exception_is_the_result(ray, journal, options, runs):
    @ray.remote(**options)
    def fail():
        journal.note("run")
        raise ValueError(f"attempt {len(journal.lines())}")

    with pytest.raises(ValueError, match=f"attempt {runs}$"):
        ray.get(fail.remote())
    assert len(journal.lines()) == runs


def test_without_end_when_max_retries_is_minus_one(ray, journal):
    @ray.remote(max_retries=-1, retry_exceptions=[FlakyError])
    def flaky():
        journal.note("run")
        if len(journal.lines()) < 50:
            raise FlakyError
        return len(journal.lines())

    assert ray.get(flaky.remote()) == 50


def test_deaths_and_exceptions_share_the_retries(ray, journal):
    @ray.remote(max_retries=2, retry_exceptions=True)
    def flaky():
        journal.note("run")
        if len(journal.lines()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("again")

    with pytest.raises(ValueError, match="again"):
        ray.get(flaky.remote())
    assert len(journal.lines()) == 3


def test_a_class_defined_in_a_function_is_recognised(ray, journal):
    class LocalError(Exception):
        pass

    @ray.remote(retry_exceptions=[LocalError])
    def flaky():
        journal.note("run")
        if len(journal.lines()) < 3:
            raise LocalError
        return "done"

    assert ray.get(flaky.remote()) == "done"


def test_the_error_of_a_nested_task_counts_as_its_cause(ray, journal):
    @ray.remote
    def inner():
        journal.note("run")
        if len(journal.lines()) < 3:
            raise FlakyError
        return "done"

    @ray.remote(retry_exceptions=[FlakyError])
    def outer():
        return ray.get(inner.remote())

    assert ray.get(outer.remote()) == "done"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_task_on_purpose_is_not_retried(ray, journal, error):
    @ray.remote(retry_exceptions=True)
    def leave():
        journal.note("run")
        raise error("enough")

    with pytest.raises(ray.exceptions.RayTaskError):
        ray.get(leave.remote())
    assert len(journal.lines()) == 1


def test_options_of_one_call(ray, journal):
    @ray.remote
    def fail():
        journal.note("run")
        raise FlakyError

    again = fail.options(retry_exceptions=[FlakyError], max_retries=1)
    with pytest.raises(FlakyError):
        ray.get(again.remote())
    assert len(journal.lines()) == 2
    with pytest.raises(FlakyError):
        ray.get(fail.remote())
    assert len(journal.lines()) == 3


def test_a_handle_in_a_task_keeps_the_option(ray, journal):
    @ray.remote(retry_exceptions=True, max_retries=2)
    def fail():
        journal.note("run")
        raise FlakyError

    @ray.remote
    def outer(function):
        return ray.get(function.remote())

    with pytest.raises(FlakyError):
        ray.get(outer.remote(fail))
    assert len(journal.lines()) == 3


def test_arguments_are_the_same_in_each_attempt(ray, journal):
    ref = ray.put([1] * 100_000)

    @ray.remote(retry_exceptions=True)
    def flaky(big, value, *, key):
        big.append(1)
        value.append(key)
        journal.note("run")
        if len(journal.lines()) < 3:
            raise FlakyError
        return len(big), value

    assert ray.get(flaky.remote(ref, [1], key=2)) == (100_001, [1, 2])


def test_many_flaky_tasks(ray, tmp_path):
    @ray.remote(retry_exceptions=True)
    def flaky(i):
        mark = tmp_path / str(i)
        if not mark.exists():
            mark.touch()
            raise FlakyError(i)
        return i

    assert ray.get([flaky.remote(i) for i in range(500)]) == list(range(500))

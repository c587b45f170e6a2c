"""inspect_serializability, register_serializer and log_once."""

from __future__ import annotations

import io
import threading

import pytest

from bolide.util import (
    deregister_serializer,
    disable_log_once_globally,
    enable_periodic_logging,
    inspect_serializability,
    log_once,
    register_serializer,
)


class Holder:
    def __init__(self, value):
        self.value = value
        self.lock = threading.Lock()


def test_what_can_be_sent_is_said_to(ray):
    out = io.StringIO()
    assert inspect_serializability([1, lambda x: x], print_file=out) == (True, set())
    assert out.getvalue().splitlines()[1].startswith("Checking Serializability of [1, <function")


@pytest.mark.parametrize("make", [
    lambda lock: (lambda: lock),
    lambda lock: {"a": [lock]},
    lambda lock: (1, lock),
    lambda lock: Holder(lock),
])  # fmt: skip
def test_what_cannot_be_sent_is_found(ray, make):
    lock = threading.Lock()
    out = io.StringIO()
    fits, failures = inspect_serializability(make(lock), name="it", print_file=out)
    assert not fits
    assert lock in [failure.obj for failure in failures]
    found = next(failure for failure in failures if failure.obj is lock)
    assert found.parent is not None and found.path[0] == "it"
    assert repr(found) in out.getvalue() and "was found to be non-serializable" in out.getvalue()


def test_depth_limits_the_search(ray):
    lock = threading.Lock()
    fits, (failure,) = inspect_serializability([[lock]], depth=1, print_file=io.StringIO())
    assert not fits and failure.obj == [lock]


def test_a_serializer_of_ones_own(ray):
    register_serializer(Holder, serializer=lambda h: h.value, deserializer=lambda v: Holder(v + 1))
    try:
        assert ray.get(ray.put(Holder(1))).value == 2
        assert ray.get(ray.remote(lambda held: held.value).remote(Holder(5))) == 6
    finally:
        deregister_serializer(Holder)
    with pytest.raises(TypeError, match="lock"):
        ray.put(Holder(1))
    deregister_serializer(Holder)


def test_bad_serializers_are_refused():
    with pytest.raises(TypeError, match="register_serializer takes a class, not 5"):
        register_serializer(5, serializer=str, deserializer=str)
    with pytest.raises(TypeError, match="a serializer must be a function, but 5 cannot be called"):
        register_serializer(Holder, serializer=5, deserializer=str)


def test_log_once(monkeypatch):
    from bolide.util import debug

    for name, value in (("_logged", set()), ("_disabled", False), ("_periodic", False)):
        monkeypatch.setattr(debug, name, value)
    now = [100.0]
    monkeypatch.setattr(debug.time, "monotonic", lambda: now[0])
    assert [log_once("a"), log_once("a"), log_once("b")] == [True, False, True]
    now[0] += 1000
    assert not log_once("a")
    disable_log_once_globally()
    assert not log_once("c")
    enable_periodic_logging()
    assert not log_once("a")  # this is what notices that a minute has passed
    assert log_once("a")

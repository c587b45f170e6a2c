"""Bad input to actors: the type of the exception is Ray's, and its sentence says what to do.

RELIABILITY B2, rows 13 and 17. After each the runtime and the actor are usable. Options of classes
are in tests/python/integration/test_actors_options.py.
"""

from __future__ import annotations

import pytest

import bolide
from bolide.exceptions import ActorAlreadyExistsError, RaySystemError


@bolide.remote
class Plain:
    def same(self, x=1):
        return x


@pytest.fixture
def actor(two):
    """A living actor, which must be so afterwards."""
    made = Plain.remote()
    yield made
    assert two.get(made.same.remote(5)) == 5


BAD_TEXTS = [
    (5, TypeError, "{0} is 5 (int), but it must be a str; give a short text."),
    (b"x", TypeError, "{0} is b'x' (bytes), but it must be a str; give a short text."),
    ("a\0b", ValueError, "{0} is 'a\\x00b', but it must not hold NUL or surrogates; give a sho"),
    ("\ud800", ValueError, "{0} is '\\ud800', but it must not hold NUL or surrogates; give a s"),
    ("x" * 1_000_000, ValueError, "1000000 characters long, but at most 1024 are allowed;"),
]


@pytest.mark.parametrize(("text", "error", "said"), BAD_TEXTS, ids=[str(i) for i in range(5)])
def test_b2_17_names_and_namespaces_that_cannot_be(actor, text, error, said):
    for subject, attempt in (
        ("name", lambda: Plain.options(name=text)),
        ("namespace", lambda: Plain.options(name="good", namespace=text)),
        ("name", lambda: bolide.get_actor(text)),
        ("namespace", lambda: bolide.get_actor("good", namespace=text)),
    ):
        with pytest.raises(error) as caught:
            attempt()
        assert isinstance(caught.value, ValueError)
        assert said.format(subject) in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: Plain.options(name=""), "Actor name cannot be an empty string; leave it out"),
        (
            lambda: Plain.options(namespace=""),
            "namespace is '', but it must not be empty; leave it",
        ),
        (lambda: bolide.get_actor(""), "Please supply a non-empty name to get_actor, not ''."),
        (lambda: bolide.get_actor(None), "Please supply a non-empty name to get_actor, not None."),
        (lambda: bolide.get_actor("x", namespace=""), '"" is not a valid namespace. Pass None to'),
        (lambda: bolide.get_actor("nobody"), "Failed to look up actor with name 'nobody'."),
    ],
)
def test_b2_17_empty_names_and_a_name_of_nobody(actor, attempt, said):
    with pytest.raises(ValueError) as caught:
        attempt()
    assert said in str(caught.value)


def test_b2_17_a_name_that_is_taken(two):
    first = Plain.options(name="taken").remote()
    for _ in range(3):
        with pytest.raises(ActorAlreadyExistsError, match="get_if_exists") as caught:
            Plain.options(name="taken").remote()
        assert isinstance(caught.value, ValueError)
        assert "The name 'taken' is already taken by a living actor." in str(caught.value)
    assert two.get(bolide.get_actor("taken").same.remote(3)) == 3
    assert two.node.stats()["actors"] == 1
    del first


NO_METHOD_OPTION = "Unexpected keyword argument to {}: 'num_cpus'. The supported keyword argumen"


@pytest.mark.parametrize(
    ("option", "error", "said"),
    [
        ({"num_returns": -1}, ValueError, "num_returns is -1, but it must be 0 or more; give the"),
        ({"num_returns": "x"}, TypeError, "num_returns is 'x' (str), but it must be an int; give"),
        ({"num_returns": 1 << 40}, ValueError, "but it must be at most 1000000; give the number"),
        ({"max_task_retries": -2}, ValueError, "max_task_retries is -2, but it must be -1 or mor"),
        ({"max_task_retries": "a"}, TypeError, "max_task_retries is 'a' (str), but it must be an"),
        ({"retry_exceptions": 5}, TypeError, "give True, False or a list of exception classes."),
        ({"retry_exceptions": [1]}, TypeError, "an item of retry_exceptions is 1 (int), but it"),
        ({"concurrency_group": 5}, TypeError, "concurrency_group is 5 (int), but it must be a s"),
        ({"enable_task_events": "x"}, TypeError, "enable_task_events is 'x' (str), but it must b"),
    ],
)
def test_b2_13_options_of_methods(actor, option, error, said):
    for attempt in (lambda: bolide.method(**option), lambda: actor.same.options(**option)):
        with pytest.raises(error) as caught:
            attempt()
        assert isinstance(caught.value, ValueError)
        assert said in str(caught.value)


def test_b2_13_options_that_methods_do_not_have(actor):
    for error in (ValueError, AssertionError):  # the latter is Ray's
        with pytest.raises(error) as caught:
            bolide.method(num_cpus=1)
        assert NO_METHOD_OPTION.format("@ray.method") in str(caught.value)
        with pytest.raises(error) as caught:
            actor.same.options(num_cpus=1)
        assert NO_METHOD_OPTION.format("handle.method.options()") in str(caught.value)
    with pytest.raises(ValueError, match="concurrency_group is 'io', but 'Plain' has none; define"):
        actor.same.options(concurrency_group="io")
    with pytest.raises(ValueError, match="must be applied to a method, or with some of its optio"):
        bolide.method(5)


@pytest.mark.parametrize(
    ("use", "error", "said"),
    [
        (lambda a: Plain(), TypeError, "Instead of 'Plain()', use 'Plain.remote()'."),
        (lambda a: a.same(), TypeError, "Instead of running 'object.same()', try 'object.same.re"),
        (lambda a: a.nothing, AttributeError, "the actor 'Plain' has no method 'nothing'; only"),
        (lambda a: a.same.remote(1, 2), TypeError, "Plain.same.remote(): too many positional arg"),
        (lambda a: a.same.remote(y=1), TypeError, "Plain.same.remote(): got an unexpected keywor"),
        (lambda a: Plain.remote(1), TypeError, "Plain.remote(): too many positional arguments"),
        (lambda a: bolide.remote(Plain), TypeError, "is remote already; use .options(...)"),
        (lambda a: bolide.actor.ActorHandle(), TypeError, "Class.remote(...) returns one"),
        (lambda a: bolide.actor.ActorClass(), TypeError, "use the @ray.remote decorator"),
        (lambda a: bolide.kill(a.same), ValueError, "ray.kill() only supported for actors. Got:"),
        (lambda a: bolide.kill(Plain), ValueError, "ray.kill() only supported for actors. Got:"),
        (lambda a: bolide.cancel(a), TypeError, "For actors, try ray.kill. Got:"),
        (lambda a: bolide.get(a), ValueError, "must either be an ObjectRef or a list of ObjectRe"),
        (lambda a: bolide.wait([a]), TypeError, "expected a list of ray.ObjectRef, got list conta"),
        (lambda a: bolide.actor.exit_actor(), TypeError, "exit_actor API is called on a non-actor"),
    ],
)
def test_misuse_of_classes_and_handles(actor, use, error, said):
    with pytest.raises(error) as caught:
        use(actor)
    assert said in str(caught.value)


def test_a_handle_of_an_ended_session(start):
    start(num_cpus=1)
    actor = Plain.remote()
    method = actor.same
    bolide.shutdown()
    bolide.init(num_cpus=1)
    for use in (method.remote, actor.same.remote, lambda: bolide.kill(actor)):
        with pytest.raises(RaySystemError, match="the runtime was shut down"):
            use()
    assert bolide.get(Plain.remote().same.remote(2)) == 2

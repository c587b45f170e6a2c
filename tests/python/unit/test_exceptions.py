"""Ray's exception names and bases, their sentences, RayTaskError as an instance of its cause."""

import abc
import copy
import dataclasses
import pickle
import sys

import cloudpickle
import pytest

from bolide import exceptions
from bolide.exceptions import RayActorError, RayError, RaySystemError, RayTaskError

BASES = {
    "RayTaskError": [RayError],
    "GetTimeoutError": [RayError, TimeoutError],
    "ActorDiedError": [RayActorError],
    "ActorUnavailableError": [RayActorError],
    "ActorAlreadyExistsError": [RayError, ValueError],
    "ActorHandleNotFoundError": [RayError, ValueError],
    "ObjectFreedError": [exceptions.ObjectLostError],
    "OwnerDiedError": [exceptions.ObjectLostError],
    "ObjectFetchTimedOutError": [exceptions.ObjectLostError],
    "ObjectReconstructionFailedError": [exceptions.ObjectLostError],
    "ReferenceCountingAssertionError": [exceptions.ObjectLostError, AssertionError],
    "RayChannelError": [RaySystemError],
    "RayChannelTimeoutError": [exceptions.RayChannelError, TimeoutError],
    "RayCgraphCapacityExceeded": [RaySystemError],
}
NAMES_OF_RAY = """
RayError RayTaskError TaskCancelledError WorkerCrashedError RayActorError ActorDiedError
ActorUnavailableError ActorUnschedulableError ActorPlacementGroupRemoved ActorAlreadyExistsError
ActorHandleNotFoundError TaskUnschedulableError TaskPlacementGroupRemoved GetTimeoutError
ObjectLostError ObjectFreedError ObjectFetchTimedOutError ObjectReconstructionFailedError
OwnerDiedError ReferenceCountingAssertionError PlasmaObjectNotAvailable ObjectStoreFullError
OutOfDiskError OutOfMemoryError NodeDiedError LocalRayletDiedError RaySystemError RpcError
RuntimeEnvSetupError PendingCallsLimitExceeded ObjectRefStreamEndOfStreamError
StreamingGeneratorReplayInconsistentError OufOfBandObjectRefSerializationException RayChannelError
RayChannelTimeoutError RayCgraphCapacityExceeded RayDirectTransportError CrossLanguageError
UserCodeException UnserializableException AsyncioActorExit AuthenticationError
""".split()


def failed(cause, name="f", text="Traceback ...\nValueError: bad"):
    return RayTaskError(name, text, cause, pid=4711)


def test_every_name_of_ray_is_here_and_public():
    assert set(NAMES_OF_RAY) <= set(exceptions.__all__)
    for name in exceptions.__all__:
        cls = getattr(exceptions, name)
        assert cls.__module__ == "bolide.exceptions" and cls.__name__ == name
        assert issubclass(cls, RayError), name
        assert cls.__doc__, f"{name} does not say when it is raised"


@pytest.mark.parametrize("name", BASES)
def test_bases_are_those_of_ray(name):
    for base in BASES[name]:
        assert issubclass(getattr(exceptions, name), base)


@pytest.mark.parametrize("module", [pickle, cloudpickle])
@pytest.mark.parametrize("name", sorted(set(exceptions.__all__) - {"RayTaskError"}))
def test_every_exception_can_be_pickled(name, module):
    error = getattr(exceptions, name)("what happened")
    error.more = [1]
    back = module.loads(module.dumps(error))
    assert type(back) is type(error)
    assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))
    assert "what happened" in str(back) or name in ("TaskCancelledError", "RayActorError")


def test_pickling_does_not_call_the_constructor():
    class Picky(RayError):
        def __init__(self, *, only_by_keyword):
            super().__init__(only_by_keyword)

    back = cloudpickle.loads(cloudpickle.dumps(Picky(only_by_keyword="x")))
    assert str(back) == "x"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (exceptions.WorkerCrashedError(), "The worker died unexpectedly while it ran this task."),
        (exceptions.WorkerCrashedError("f: killed by SIGKILL"), "f: killed by SIGKILL"),
        (exceptions.TaskCancelledError(), "This task or one that it needs was cancelled."),
        (exceptions.TaskCancelledError("ab", "By you."), "Task ab was cancelled. By you."),
        (exceptions.TaskUnschedulableError("no GPU"), "The task cannot be scheduled: no GPU"),
        (exceptions.ActorUnschedulableError("no GPU"), "The actor cannot be scheduled: no GPU"),
        (exceptions.ActorDiedError(), "The actor died unexpectedly before finishing this task."),
        (exceptions.ActorDiedError("killed by kill()"), "killed by kill()"),
        (
            exceptions.ActorUnavailableError("it restarts", b"\x01"),
            "The actor 01 is unavailable: it restarts. "
            "The call may or may not have been executed on the actor.",
        ),
        (
            exceptions.ObjectFreedError("ab", None, "x.py:1"),
            "Object ab cannot be retrieved. It was freed by hand; free an object only after its "
            "last use. Its ObjectRef was made at x.py:1.",
        ),
        (RaySystemError("no memfd", "tb"), "System error: no memfd\ntraceback: tb"),
        (
            exceptions.RuntimeEnvSetupError("unknown key"),
            "Failed to set up the runtime environment.\nunknown key",
        ),
        (exceptions.GetTimeoutError("2 s passed"), "2 s passed"),
    ],
)
def test_sentences(error, sentence):
    assert str(error) == sentence


def test_an_actor_whose_constructor_failed_says_why():
    error = exceptions.ActorDiedError.from_task_error(failed(ValueError("bad"), "A.__init__"))
    assert error.actor_init_failed and not error.preempted
    assert str(error).startswith(
        "The actor died because its constructor raised an error: A.__init__() failed in worker pid "
    )


def test_a_task_error_names_function_and_pid_first_and_shows_the_traceback():
    text = str(failed(ValueError("bad")))
    assert text == "f() failed in worker pid 4711:\nTraceback ...\nValueError: bad"
    actor = RayTaskError("A.m", "tb", None, pid=5, actor_repr="A(1)")
    assert str(actor) == "A.m() failed in worker pid 5, actor A(1):\ntb"


def test_a_task_error_is_an_instance_of_its_cause_also():
    cause = KeyError("k")
    cause.extra = {"a": 1}
    error = failed(cause).as_instanceof_cause()
    assert isinstance(error, RayTaskError) and isinstance(error, KeyError)
    assert type(error).__name__ == type(error).__qualname__ == "RayTaskError(KeyError)"
    assert type(error).__module__ == "bolide.exceptions"
    assert error.cause is cause and error.args == ("k",) and error.extra == {"a": 1}
    assert (error.function_name, error.pid) == ("f", 4711)
    assert str(error) == str(failed(cause))
    assert error.as_instanceof_cause() is error
    assert type(failed(KeyError()).as_instanceof_cause()) is type(error), "one class a cause class"
    with pytest.raises(AttributeError, match="nothing"):
        _ = error.nothing


class Awkward(Exception):
    """A constructor that refuses, a class attribute, a property, a clash with our names."""

    level = 1
    made = 0

    def __init__(self, a, b):
        type(self).made += 1
        super().__init__(a)
        self.level = 2
        self.pid = "mine"
        self._b = b

    @property
    def b(self):
        return self._b

    def __str__(self):
        raise RuntimeError("no text")

    def __bool__(self):
        return False

    def __setattr__(self, name, value):
        if Awkward.frozen:
            raise RuntimeError("frozen")
        super().__setattr__(name, value)

    def __getattr__(self, name):
        if name == "computed":
            return 7
        raise AttributeError(name)

    frozen = False


def test_an_awkward_cause_keeps_all_its_attributes(monkeypatch):
    cause = Awkward("a", b="b")
    monkeypatch.setattr(Awkward, "frozen", True)
    error = failed(cause).as_instanceof_cause()
    assert isinstance(error, Awkward) and isinstance(error, RayTaskError) and Awkward.made == 1
    assert (error.level, error.b, error.pid, error.computed) == (2, "b", "mine", 7)
    assert error.function_name == "f"
    assert str(error).startswith("f() failed in worker pid 4711")


def test_members_outside_the_dict_are_the_causes():
    missing = FileNotFoundError(2, "No such file", "x.txt")
    error = failed(missing).as_instanceof_cause()
    assert (error.errno, error.strerror, error.filename) == (2, "No such file", "x.txt")

    decode = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte")
    error = failed(decode).as_instanceof_cause()
    assert (error.encoding, error.object, error.start, error.end) == ("utf-8", b"\xff", 0, 1)

    class Slotted(ValueError):
        __slots__ = ("x",)

    slotted = Slotted("s")
    slotted.x = 5
    assert failed(slotted).as_instanceof_cause().x == 5


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with Python 3.11")
def test_a_group_stays_a_group():
    group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])  # noqa: F821
    error = failed(group).as_instanceof_cause()
    assert isinstance(error, ExceptionGroup) and error.exceptions == group.exceptions  # noqa: F821


def test_other_shapes_of_classes():
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        x: int

    class Abstract(Exception, abc.ABC):
        @abc.abstractmethod
        def f(self): ...

    class Concrete(Abstract):
        def f(self):
            return 1

    class Hooked(Exception):
        seen = []

        def __init_subclass__(cls, *, needed):
            Hooked.seen.append(cls)

    for cause in (Frozen(3), Concrete(), Hooked("h"), exceptions.WorkerCrashedError("w")):
        error = failed(cause).as_instanceof_cause()
        assert isinstance(error, type(cause)) and isinstance(error, RayTaskError)
    assert Hooked.seen == []


class NoSubclasses(type):
    def __new__(mcls, name, bases, body, **kwargs):
        if any(isinstance(base, NoSubclasses) for base in bases):
            raise TypeError("final")
        return super().__new__(mcls, name, bases, body)


class Final(Exception, metaclass=NoSubclasses):
    pass


@pytest.mark.parametrize(
    "cause",
    [None, Final("x"), Exception("plain"), RayError("r"), SystemExit(3), KeyboardInterrupt()],
    ids=lambda cause: type(cause).__name__,
)
def test_the_plain_error_is_raised_where_the_dual_one_cannot_or_need_not_be(cause):
    error = failed(cause)
    assert error.as_instanceof_cause() is error
    assert error.cause is cause


def test_make_dual_exception_type_says_why_not():
    assert issubclass(failed(ValueError()).make_dual_exception_type(), ValueError)
    with pytest.raises(TypeError, match="Final cannot be a base of a RayTaskError"):
        failed(Final()).make_dual_exception_type()


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_task_errors_can_be_pickled_plain_and_dual(module):
    cause = ValueError("bad", 2)
    for error in (failed(cause), failed(cause).as_instanceof_cause()):
        back = module.loads(module.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error) and back.cause.args == ("bad", 2)
        assert type(copy.copy(error)) is type(error)


def test_a_dual_class_can_be_pickled_by_value():
    cls = failed(ValueError()).make_dual_exception_type()
    assert issubclass(cloudpickle.loads(cloudpickle.dumps(cls)), RayTaskError)

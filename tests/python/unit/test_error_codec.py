"""How the exception of a task reaches the driver: its class, its text, and what hostile ones do."""

import os
import pickle
import threading

import pytest

from bolide import _error_codec
from bolide._error_codec import TEXT_LIMIT, cut_text, pack_error, unpack_error
from bolide.exceptions import RaySystemError, RayTaskError, UnserializableException


def raised(error):
    """`error` with a traceback of one frame of user code."""
    try:
        raise error
    except BaseException as caught:
        return caught


def sent(error):
    return unpack_error(pack_error(raised(error), "f", 4711))


def test_the_users_class_and_the_remote_traceback_arrive():
    error = sent(ValueError("bad", 2))
    assert isinstance(error, ValueError) and isinstance(error, RayTaskError)
    assert error.args == ("bad", 2) and type(error.cause) is ValueError
    first, header, frame, *_, last = str(error).splitlines()
    assert first == "f() failed in worker pid 4711:"
    assert header == "Traceback (most recent call last):"
    assert frame.strip().startswith(f'File "{__file__}", line ')
    assert last == "ValueError: ('bad', 2)"


def test_an_exception_of_main_is_an_instance_of_the_drivers_class(worker, in_main):
    main = in_main(
        "class Mine(Exception):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
        "        self.b = b\ndef task():\n    raise Mine('a', b=2)"
    )
    with pytest.raises(main["Mine"]) as caught:
        worker.call(main["task"])
    assert (caught.value.args, caught.value.b) == (("a",), 2)
    assert type(caught.value.cause) is main["Mine"]
    assert str(caught.value).startswith(f"task() failed in worker pid {worker.pid}:\n")
    assert 'File "<script>", line 6, in task' in str(caught.value)


def test_causes_and_contexts_are_in_the_text():
    try:
        try:
            {}["k"]
        except KeyError as key:
            raise ValueError("bad") from key
    except ValueError as error:
        text = str(unpack_error(pack_error(error, "f", 1)))
    assert "KeyError: 'k'" in text and "direct cause of the following exception" in text


def test_bolides_own_frames_are_left_out(monkeypatch):
    own = os.path.join(os.path.dirname(_error_codec.__file__), "_worker.py")
    program = compile("def run(f):\n    f()", own, "exec")
    namespace = {}
    exec(program, namespace)

    def user():
        raise ValueError("bad")

    try:
        namespace["run"](user)
    except ValueError as error:
        text = str(unpack_error(pack_error(error, "f", 1)))
    assert "_worker.py" not in text and ", in user" in text


def test_a_traceback_of_own_frames_only_is_kept():
    own = os.path.join(os.path.dirname(_error_codec.__file__), "_worker.py")
    try:
        exec(compile("1 / 0", own, "exec"), {})
    except ZeroDivisionError as error:
        error.__traceback__ = error.__traceback__.tb_next
        assert "_worker.py" in str(unpack_error(pack_error(error, "f", 1)))


def test_a_task_error_within_a_task_hands_on_its_cause():
    inner = sent(ValueError("bad"))
    outer = unpack_error(pack_error(raised(inner), "g", 9))
    assert isinstance(outer, ValueError) and type(outer.cause) is ValueError
    assert outer.function_name == "g"
    text = str(outer)
    assert (
        text.startswith("g() failed in worker pid 9:") and "f() failed in worker pid 4711:" in text
    )


def test_other_fields_travel():
    record = pack_error(
        ValueError(),
        "A.m",
        1,
        task_id="ab",
        actor_id="cd",
        actor_repr="A(1)",
        proctitle="p",
        ip="i",
    )
    error = unpack_error(record)
    fields = (error.task_id, error.actor_id, error.actor_repr, error.proctitle, error.ip)
    assert fields == ("ab", "cd", "A(1)", "p", "i")


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


class HoldsLock(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()
        self.code = 7


class BadReduce(Exception):
    def __reduce__(self):
        raise RuntimeError("cannot be reduced")


class BadLoad(Exception):
    def __reduce__(self):
        return exec, ("raise SystemExit(3)",)


class BadText(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Falsy(Exception):
    def __bool__(self):
        return False

    def __len__(self):
        return 0

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None


class BadAttributes(Exception):
    def __getattribute__(self, name):
        raise RuntimeError("no attributes")


HOSTILE = {
    NeedsTwo: ("a", 2),
    HoldsLock: ("h",),
    BadReduce: ("r",),
    BadLoad: ("l",),
    BadText: ("t",),
    Falsy: ("f",),
    BadAttributes: ("x",),
    OSError: (2, "gone", "x.txt"),
    UnicodeDecodeError: ("utf-8", b"x", 0, 1, "bad"),
}


@pytest.mark.parametrize("cls", HOSTILE)
def test_hostile_exceptions_keep_their_class_and_a_text(cls):
    error = cls(*HOSTILE[cls])
    back = sent(error)
    assert issubclass(type(back), RayTaskError) and issubclass(type(back), cls)
    assert str(back).startswith("f() failed in worker pid 4711:\n")
    assert type(error).__name__ in str(back)
    assert BaseException.args.__get__(back) == BaseException.args.__get__(error)


def test_attributes_that_cannot_be_sent_are_replaced_and_named():
    back = sent(HoldsLock("h"))
    assert back.code == 7 and back.lock.startswith("<unlocked _thread.lock object")
    assert "(These parts of the exception were replaced by texts: lock.)" in str(back)


def test_an_exception_whose_class_cannot_be_sent_is_stood_in_for():
    class Local(Exception):
        lock = threading.Lock()

    back = sent(Local("why"))
    assert isinstance(back, UnserializableException) and isinstance(back, RayTaskError)
    assert "Local: why" in str(back)
    assert "(The Local itself could not be sent: TypeError: cannot pickle '_thread.lock' " in str(
        back
    )
    assert "Local: why" in back.cause.original_stack_trace


def test_huge_messages_are_cut_and_keep_their_class():
    back = sent(ValueError("begin" + "x" * 100_000_000 + "end"))
    assert isinstance(back, ValueError)
    assert len(str(back).encode()) < TEXT_LIMIT + 1024
    assert str(back).startswith("f() failed in worker pid 4711:\nTraceback")
    assert " bytes cut] ..." in str(back)
    assert "(These parts of the exception were replaced by texts: args[0].)" in str(back)
    assert back.args[0].startswith("beginxxx") and len(back.args[0]) == 64 * 1024
    assert len(pack_error(ValueError("x" * 100_000_000), "f", 1)) < 2 * TEXT_LIMIT


def test_large_values_in_an_exception_are_replaced_only_above_the_limit():
    values = bytes(2_000_000)
    assert sent(ValueError(values)).args == (values,)
    back = sent(ValueError([bytes(1_000)] * 100, list(range(2_000_000))))
    assert back.args[0] == [bytes(1_000)] * 100
    assert back.args[1].startswith("[0, 1, 2, ")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_would_end_the_driver_is_a_plain_task_error(error):
    back = sent(error)
    assert type(back) is RayTaskError
    assert type(back.cause) is type(error) and back.cause.args == error.args
    assert type(error).__name__ in str(back)


def test_a_cause_that_cannot_be_rebuilt_in_the_driver_says_so():
    fields, _ = pickle.loads(pack_error(raised(ValueError("bad")), "f", 4711))
    for broken, reason in (
        (b"junk", "Error: "),
        (pickle.dumps(5), "TypeError: it came back as a int"),
    ):
        back = unpack_error(pickle.dumps((dict(fields), broken)))
        assert isinstance(back, UnserializableException)
        assert "ValueError: bad\n(The exception itself could not be rebuilt here: " in str(back)
        assert reason in str(back)


@pytest.mark.parametrize("record", [b"", b"junk", pickle.dumps(5), pickle.dumps(({}, None))])
def test_a_damaged_record_is_a_system_error(record):
    error = unpack_error(record)
    assert type(error) is RaySystemError
    assert str(error).startswith(f"System error: corrupt error record of {len(record)} bytes: ")


def test_texts_are_cut_in_the_middle_and_can_always_be_encoded():
    assert cut_text("short") == "short"
    cut = cut_text("a" * 300 + "ä" * 300, 200)
    assert cut.startswith("aaa") and cut.endswith("ää") and "bytes cut" in cut
    assert len(cut.encode()) <= 200
    assert cut_text("bad \ud800 text") == "bad \\ud800 text"
    assert "\\ud800" in str(sent(ValueError("\ud800")))


def test_the_same_record_gives_the_same_error_again():
    record = pack_error(raised(NeedsTwo("a", 2)), "f", 1)
    first, second = unpack_error(record), unpack_error(record)
    assert type(first) is type(second) and str(first) == str(second)


def test_deep_recursion_is_reported(worker):
    def task():
        return task()

    with pytest.raises(RecursionError, match="maximum recursion depth exceeded"):
        worker.call(task)

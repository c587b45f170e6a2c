"""Sentences for what cannot be pickled: subject, variable or attribute to blame, advice."""

import functools
import pickle
import socket
import sys
import threading

import pytest

from bolide import _explain
from bolide._serialize import dumps, explain_unpicklable

LOCK = threading.Lock()
ARGUMENT = "argument 'model' of 'train'"


class Holder:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("inner",)


def explained(obj, subject=ARGUMENT):
    """What explain_unpicklable makes of the error that `dumps` raises for `obj`."""
    try:
        dumps(obj)
    except BaseException as error:
        return explain_unpicklable(obj, subject, error)
    raise AssertionError("it can be pickled")


def sentence_of(obj, subject=ARGUMENT):
    error = explained(obj, subject)
    assert type(error) is TypeError
    return str(error)


def slotted():
    made = Slotted()
    made.inner = LOCK
    return made


LOCK_TEXT = "a _thread.lock object that cannot be pickled; create it inside the task."


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (LOCK, "model"),
        (Holder(lock=LOCK), "model.lock"),
        (Holder(a={"k": [0, (1, LOCK)]}), "model.a['k'][1][1]"),
        (slotted(), "model.inner"),
        ([1, 2, Holder(x=Holder(y=LOCK))], "model[2].x.y"),
        (Holder(lock=LOCK).__init__, "model.__self__.lock"),
    ],
)
def test_the_attribute_path_is_named(obj, path):
    assert sentence_of(obj) == f"{ARGUMENT} cannot be sent to a worker: {path} is {LOCK_TEXT}"


def test_an_argument_by_position_is_written_as_an_index():
    text = sentence_of(Holder(lock=LOCK), "argument 0 of 'train'")
    assert text == f"argument 0 of 'train' cannot be sent to a worker: args[0].lock is {LOCK_TEXT}"
    assert sentence_of([LOCK], "the result of 'f'") == (
        f"the result of 'f' cannot be sent to a worker: it[0] is {LOCK_TEXT}"
    )


def closure(value):
    def f():
        return value

    return f


def default(value):
    def f(a, b=value, *, c=1):
        return b

    return f


def test_a_closure_names_the_captured_variable():
    assert sentence_of(closure(LOCK), "the function 'f'") == (
        "the function 'f' cannot be sent to a worker: it captures the variable 'value', which is "
        + LOCK_TEXT
    )
    assert sentence_of(closure({"x": LOCK}), "the function 'f'") == (
        "the function 'f' cannot be sent to a worker: it captures the variable 'value', and "
        f"value['x'] is {LOCK_TEXT}"
    )


def test_globals_defaults_and_functions_within_functions_are_named(in_main):
    main = in_main(
        "import threading\nlock = threading.Lock()\ndef g(): return lock\ndef f(): return g()"
    )
    assert sentence_of(main["g"], "the function 'g'") == (
        "the function 'g' cannot be sent to a worker: it uses the global variable 'lock', which is "
        + LOCK_TEXT
    )
    assert sentence_of(main["f"], "the function 'f'") == (
        "the function 'f' cannot be sent to a worker: it uses the global variable 'g', the "
        f"function 'g' uses the global variable 'lock', which is {LOCK_TEXT}"
    )
    assert sentence_of(default(LOCK), "the function 'f'") == (
        "the function 'f' cannot be sent to a worker: it has a default value for 'b', which is "
        + LOCK_TEXT
    )
    assert sentence_of([closure(LOCK)]) == (
        f"{ARGUMENT} cannot be sent to a worker: the function 'f' captures the variable 'value', "
        f"which is {LOCK_TEXT}"
    )
    assert "partial" not in sentence_of(functools.partial(closure(LOCK), 1))


def test_a_class_names_its_attribute_or_method(in_main):
    main = in_main("import threading\nclass C:\n    lock = threading.Lock()\n")
    assert sentence_of(main["C"], "the class 'C'") == (
        f"the class 'C' cannot be sent to a worker: it.lock is {LOCK_TEXT}"
    )


def test_other_kinds_get_their_own_advice(tmp_path):
    def generator():
        yield 1

    with open(tmp_path / "x", "wb") as file, socket.socket() as sock:
        made = generator()
        for obj, end in [
            (file, "model is a _io.BufferedWriter object that cannot be pickled; "
                   "pass its path and open it inside the task."),
            (sock, "model is a socket.socket object that cannot be pickled; "
                   "pass its address and connect inside the task."),
            (made, "model is a generator object that cannot be pickled; pass a list of its items."),
            (sys._getframe(), "model is a frame object that cannot be pickled; leave it out."),
        ]:  # fmt: skip
            assert sentence_of(obj).endswith(end)
    with open(tmp_path / "x", "w") as file:
        assert "model[0] is a _io.TextIOWrapper object that cannot be pickled" in sentence_of(
            [file]
        )


class Raises:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("mine"), ValueError("mine"), KeyError("mine")])
def test_an_error_of_the_users_own_code_stays_itself(error):
    got = explained([Raises(error)])
    assert got is error
    note = f"while {ARGUMENT} was being pickled to be sent to a worker"
    if sys.version_info >= (3, 11):
        assert got.__notes__ == [note] and got.args == ("mine",)
    else:
        assert got.args == (f"mine ({note})",)


def test_a_type_error_about_pickling_gets_the_sentence():
    text = sentence_of(Holder(h5=Raises(TypeError("h5py objects cannot be pickled"))))
    assert text.startswith(f"{ARGUMENT} cannot be sent to a worker: model.h5 is a ")
    assert "Raises object that cannot be pickled (h5py objects cannot be pickled); " in text
    assert text.endswith("create it inside the task, or leave it out with __getstate__.")


def test_exit_interrupt_and_depth():
    got = explained(Raises(SystemExit(3)))
    assert type(got) is pickle.PicklingError
    assert str(got) == (
        f"{ARGUMENT} cannot be sent to a worker: pickling it called sys.exit(3); "
        "do not exit in __reduce__ or __getstate__."
    )
    interrupt = KeyboardInterrupt()
    assert explain_unpicklable(1, ARGUMENT, interrupt) is interrupt
    deep = []
    for _ in range(100_000):
        deep = [deep]
    got = explained(deep)
    assert type(got) is RecursionError
    assert str(got) == (
        f"{ARGUMENT} cannot be sent to a worker: it is nested more deeply than the recursion limit "
        f"of {sys.getrecursionlimit()} allows; flatten it, or call sys.setrecursionlimit() with "
        "more."
    )


def test_the_search_is_bounded_in_depth(monkeypatch):
    monkeypatch.setattr(_explain, "MAX_DEPTH", 5)
    nested = LOCK
    for _ in range(50):
        nested = [nested]
    text = sentence_of(nested)
    assert "model[0][0][0][0][0] is a list object that cannot be pickled (cannot pickle" in text


def test_the_search_is_bounded_in_time(monkeypatch):
    monkeypatch.setattr(_explain, "MAX_SECONDS", -1.0)
    assert "model is a list object that cannot be pickled (cannot pickle '_thread" in sentence_of(
        [LOCK]
    )


def test_cycles_end_the_search():
    holder = Holder(lock=LOCK)
    holder.me = holder
    vars(holder).pop("lock")
    holder.others = [holder, LOCK]
    assert "model.others[1] is a _thread.lock object" in sentence_of(holder)


def test_hostile_parts_do_not_disturb_the_search():
    class NoRepr:
        def __repr__(self):
            raise RuntimeError("no repr")

    assert "model[...] is a _thread.lock object" in sentence_of({NoRepr(): LOCK})
    assert "is a _thread.lock object" in sentence_of([Raises(SystemExit(1)), LOCK][1:])

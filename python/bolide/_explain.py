"""Sentences for what cannot be pickled: which function, which argument, which variable.

It is not on any normal path: it runs after a pickling has failed, and looks for the culprit by
pickling ever smaller parts of the object. Thread safety: functions without state. Invariants: the
search is at most MAX_DEPTH steps deep and ends at the first part after MAX_SECONDS; user code that
raises during the search counts as one more part that cannot be pickled, Ctrl-C apart; objects of
the runtime may be reduced during it, so its caller drops what they recorded.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_DEPTH = 20
MAX_SECONDS = 2.0
_MAX_PARTS = 10_000  # of one container
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Name of a type, or the beginning of one -> what to do about it.
_ADVICE = (
    ("_thread.", "create it inside the task"),
    ("_io.", "pass its path and open it inside the task"),
    ("socket.", "pass its address and connect inside the task"),
    ("ssl.", "create it inside the task"),
    ("generator", "pass a list of its items"),
    ("coroutine", "await it first and pass its result"),
    ("async_generator", "pass a list of its items"),
    ("sqlite3.", "pass the file's name and connect inside the task"),
    ("frame", "leave it out"),
    ("traceback", "leave it out, or pass traceback.format_exc()"),
    ("mmap.", "pass the file's name and map it inside the task"),
    ("select.", "create it inside the task"),
)
_DEFAULT_ADVICE = "create it inside the task, or leave it out with __getstate__"


def explain_unpicklable(obj: Any, subject: str, error: BaseException) -> BaseException:
    """The exception to raise for something that cannot be sent to another process.

    Args:
        obj: what was being pickled.
        subject: what it is, for the sentence: ``"argument 'model' of 'train'"``,
            ``"argument 0 of 'train'"``, ``"the function 'f'"``, ``"the result of 'f'"``.
        error: what the pickling raised.

    Returns:
        A TypeError whose sentence names the subject and the captured variable or the attribute
        that is to blame; `error` itself, with a note (before Python 3.11: a longer message) that
        names the subject, if the user's own code raised it while pickling, and without one if it
        is a KeyboardInterrupt; a PicklingError for SystemExit; a RecursionError for one. The
        caller raises it ``from error`` unless it is `error`.

    Example:
        >>> str(explain_unpicklable({"a": [lock]}, "argument 'x' of 'f'", error))
        "argument 'x' of 'f' cannot be sent to a worker: x['a'][0] is a _thread.lock object that
        cannot be pickled; create it inside the task."
    """
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, SystemExit):
        from pickle import PicklingError

        return PicklingError(
            f"{subject} cannot be sent to a worker: pickling it called sys.exit({error.code!r}); "
            "do not exit in __reduce__ or __getstate__."
        )
    if isinstance(error, RecursionError):
        return RecursionError(
            f"{subject} cannot be sent to a worker: it is nested more deeply than the recursion "
            f"limit of {sys.getrecursionlimit()} allows; flatten it, or call "
            "sys.setrecursionlimit() with more."
        )
    if _is_users_own(error):
        return _with_note(error, f"while {subject} was being pickled to be sent to a worker")
    return TypeError(_sentence(obj, subject, error))


def _is_users_own(error: BaseException) -> bool:
    """Whether user code (or a library's) raised the error, and not the pickling itself."""
    from pickle import PicklingError

    trace = error.__traceback__
    if trace is None:
        return not isinstance(error, (TypeError, PicklingError, AttributeError))
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename
    name = os.path.basename(file)
    folder = os.path.basename(os.path.dirname(file))
    pickling = (
        file.startswith(_PACKAGE)
        or file.endswith("bolide/_hot.pyx")
        or folder == "cloudpickle"
        or name in ("pickle.py", "copyreg.py")
    )
    if pickling:
        return not isinstance(error, (TypeError, PicklingError, AttributeError, ValueError))
    about_pickling = isinstance(error, TypeError) and "pickle" in str(error)
    return not about_pickling and not isinstance(error, PicklingError)


def _with_note(error: BaseException, note: str) -> BaseException:
    if hasattr(error, "add_note"):
        error.add_note(note)
    elif error.args and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} ({note})", *error.args[1:])
    return error


def _sentence(obj: Any, subject: str, error: BaseException) -> str:
    culprit, path, expression = _find_culprit(obj, _expression_for(subject))
    kind = _type_name(culprit)
    what = f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind} object"
    advice = next((text for prefix, text in _ADVICE if kind.startswith(prefix)), _DEFAULT_ADVICE)
    if path:
        if path[0].startswith(subject):
            path[0] = "it" + path[0][len(subject) :]
        *before, last = path
        where = "".join(f"{clause}, " for clause in before)
        if expression in last:
            blame = f"{where}{last}, which is {what}"
        else:
            blame = f"{where}{last}, and {expression} is {what}"
    else:
        blame = f"{expression} is {what}"
    reason = str(error)
    told = reason.startswith("cannot pickle") and kind.rpartition(".")[2] in reason
    detail = "" if told or culprit is obj and not reason else f" ({reason})"
    return (
        f"{subject} cannot be sent to a worker: {blame} that cannot be pickled{detail}; {advice}."
    )


def _expression_for(subject: str) -> str:
    """How to write the object in an expression: ``argument 'model' of 'f'`` is ``model``."""
    words = subject.split()
    if len(words) > 1 and words[0] == "argument":
        name = words[1].strip("'")
        return name if words[1] != name else f"args[{name}]"
    return "it"


def _find_culprit(obj: Any, expression: str) -> tuple[Any, list[str], str]:
    """The smallest part that cannot be pickled, the functions on the way, and its expression."""
    import time

    deadline = time.monotonic() + MAX_SECONDS
    path: list[str] = []
    seen = {id(obj)}
    for _ in range(MAX_DEPTH):
        for value, clause, suffix in _parts(obj):  # noqa: B007  (used where the loop has stopped)
            if time.monotonic() > deadline:
                return obj, path, expression
            if id(value) not in seen and not _can_be_pickled(value):
                break
        else:
            return obj, path, expression
        seen.add(id(value))
        obj = value
        if clause:
            path.append(clause)
            expression = suffix
        else:
            expression += suffix
    return obj, path, expression


class _Sink:
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


def _can_be_pickled(value: Any) -> bool:
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return True
    try:
        from ._by_value import Pickler

        Pickler(_Sink(), lambda _: None, inline=True).dump(value)
        return True
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False


def _parts(obj: Any) -> Iterator[tuple[Any, str, str]]:
    """What an object is made of: (value, clause or "", variable or suffix of the expression)."""
    import types
    from itertools import islice

    if isinstance(obj, types.FunctionType):
        yield from _parts_of_function(obj)
    elif isinstance(obj, types.MethodType):
        yield obj.__self__, "", ".__self__"
        yield obj.__func__, "", ".__func__"
    elif isinstance(obj, dict):
        for key, value in islice(obj.items(), _MAX_PARTS):
            yield value, "", f"[{_short(key)}]"
            yield key, "", f" has the key {_short(key)}, and it"
    elif isinstance(obj, (list, tuple)):
        for index, value in enumerate(islice(obj, _MAX_PARTS)):
            yield value, "", f"[{index}]"
    elif isinstance(obj, (set, frozenset)):
        for value in islice(obj, _MAX_PARTS):
            yield value, "", f" has the element {_short(value)}, and it"
    elif isinstance(obj, type):
        for name, value in list(vars(obj).items()):
            if isinstance(value, (staticmethod, classmethod)):
                value = value.__func__
            if name not in ("__dict__", "__weakref__", "__slots__", "_abc_impl"):
                yield value, "", f".{name}"
    else:
        yield from _parts_of_instance(obj)


def _parts_of_function(function: Any) -> Iterator[tuple[Any, str, str]]:
    from cloudpickle.cloudpickle import _extract_code_globals

    who = f"the function {function.__name__!r}"
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:  # empty
            continue
        yield value, f"{who} captures the variable {name!r}", name
    for name in _extract_code_globals(code):
        if name in function.__globals__:
            yield function.__globals__[name], f"{who} uses the global variable {name!r}", name
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    named = [*zip(names[len(names) - len(defaults) :], defaults)]
    for name, value in [*named, *(function.__kwdefaults__ or {}).items()]:
        yield value, f"{who} has a default value for {name!r}", name
    for name, value in vars(function).items():
        yield value, f"{who} has the attribute {name!r}", f"{function.__name__}.{name}"


def _parts_of_instance(obj: Any) -> Iterator[tuple[Any, str, str]]:
    try:
        reduced = obj.__reduce_ex__(5)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it is to blame itself
        return
    if not isinstance(reduced, tuple):
        return
    reduced += (None,) * (6 - len(reduced))
    states = reduced[2] if isinstance(reduced[2], tuple) else (reduced[2],)
    for state in states:
        if isinstance(state, dict):
            for name, value in state.items():
                yield value, "", f".{name}"
        elif state is not None:
            yield state, "", ".__getstate__()"
    for index, value in enumerate(reduced[1] or ()):
        if value is not type(obj):
            yield value, "", f".__reduce__()[1][{index}]"
    for index, value in enumerate(reduced[3] or ()):
        yield value, "", f"[{index}]"
    for key, value in reduced[4] or ():
        yield value, "", f"[{_short(key)}]"


def _short(key: Any) -> str:
    try:
        text = repr(key)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "..."
    return text if len(text) <= 40 else text[:37] + "..."


def _type_name(value: Any) -> str:
    cls = type(value)
    name = cls.__qualname__
    return name if cls.__module__ == "builtins" else f"{cls.__module__}.{name}"

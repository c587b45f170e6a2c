"""How the exception of a task travels: `pack_error` in the worker, `unpack_error` in the driver.

It is not the exception class (`bolide._task_error`) and not the general serializer
(`bolide._serialize`), which it uses for the user's exception. Follows Ray's page "Task fault
tolerance", catching application-level failures.

Thread safety: functions without state. Invariants: a record is a pickled tuple of texts, numbers
and bytes only, so opening one runs no user code before the guarded step that rebuilds the cause;
neither function raises because of a hostile exception; the text is at most TEXT_LIMIT bytes.
"""

from __future__ import annotations

import os

from ._task_error import (
    RayTaskError,
    bare_exception,
    instance_dict,
    member_descriptors,
    members_of,
    set_member,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT_LIMIT = 512 * 1024
CAUSE_LIMIT = 8 * 1024 * 1024  # a pickled exception above this is sent in parts
_TEXT_PART_LIMIT = 64 * 1024  # of such a part, a text or bytes: what is longer is cut
_PART_LIMIT = 1024 * 1024  # of such a part, pickled: what is longer becomes its repr
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_FIELDS = (
    "function_name", "traceback_str", "proctitle", "pid", "ip", "actor_repr", "actor_id", "task_id"
)  # fmt: skip


def pack_error(error: BaseException, function_name: str, pid: int, **fields: Any) -> bytes:
    """The record of an exception that a task raised; call it in the worker.

    The user's exception goes along if it can be rebuilt from what is sent, tried here. If its own
    pickling does not do that, it travels as its class, `args` and attributes, without its
    constructor, and what of these cannot be sent is replaced by a text; if its class cannot be sent
    either, an UnserializableException stands for it. The remote traceback says what was lost.

    Args:
        error: the exception, of any kind; one that is a RayTaskError hands on its own cause.
        function_name: name of the function or method, for the first line of the text.
        pid: process id of the worker.
        **fields: other fields of RayTaskError: task_id, actor_repr, actor_id, proctitle, ip.

    Returns:
        Bytes for `unpack_error`.

    Example:
        >>> record = pack_error(ValueError("bad"), "f", 4711)
        >>> str(unpack_error(record))
        'f() failed in worker pid 4711:\\nValueError: bad'
    """
    cause: BaseException | None = error
    if issubclass(type(error), RayTaskError):  # raised by a `get` within the task
        cause = instance_dict(error)["cause"]
    text = format_error(error)
    return encode(RayTaskError(function_name, text, cause, pid=pid, **fields))


def unpack_error(record: bytes) -> Exception:
    """The exception for `get` to raise; never raises itself, except for Ctrl-C.

    Args:
        record: what `pack_error` returned.

    Returns:
        A RayTaskError that is an instance of the user's exception class too where that can be; a
        RaySystemError if the record is damaged.
    """
    try:
        return load_plain(record).as_instanceof_cause()
    except Exception as error:
        from .exceptions import RaySystemError

        return RaySystemError(f"corrupt error record of {len(record)} bytes: {_safe_text(error)}")


load_dual = unpack_error


def encode(error: RayTaskError) -> bytes:
    """The record of a RayTaskError, with a cause that is known to come back."""
    import pickle

    values = instance_dict(error)
    text = cut_text(values["traceback_str"])
    cause, lost = _encode_cause(values["cause"], text)
    if lost:
        text = f"{cut_text(text, TEXT_LIMIT - len(lost.encode()) - 1)}\n{lost}"
    fields = {name: values[name] for name in _FIELDS}
    fields["traceback_str"] = text
    return pickle.dumps((fields, cause), 5)


def load_plain(record: bytes) -> RayTaskError:
    """The RayTaskError of a record, not yet an instance of its cause's class."""
    import pickle

    fields, encoded = pickle.loads(record)
    cause = None
    if encoded is not None:
        try:
            cause = pickle.loads(encoded)
            if not isinstance(cause, BaseException):
                raise TypeError(f"it came back as a {type(cause).__name__}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            cause = _stand_in(fields["traceback_str"])
            fields["traceback_str"] += (
                f"\n(The exception itself could not be rebuilt here: {_safe_text(error)})"
            )
    return RayTaskError(cause=cause, **fields)


def format_error(error: BaseException) -> str:
    """The traceback of an exception with its causes, without bolide's own frames, cut to size."""
    import traceback

    try:
        report = traceback.TracebackException(
            type(error), error, _traceback_of(error), compact=True
        )
        _drop_own_frames(report, set())
        text = "".join(report.format())
    except Exception:  # an exception whose very attributes raise
        try:
            frames = "".join(traceback.format_tb(_traceback_of(error)))
        except Exception:
            frames = ""
        text = f"{frames}{type(error).__name__}: {_safe_text(error)}"
    return cut_text(text.rstrip("\n"))


def cut_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` in at most `limit` bytes of UTF-8: its middle goes first, lone surrogates too."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > limit:
        note = f"\n... [{len(data) - limit} bytes cut] ...\n".encode()
        keep = (limit - len(note)) // 2
        data = data[:keep] + note + data[-keep:]
    elif text.isascii():
        return text
    return data.decode("utf-8", "ignore")


def rebuild(cls: type, args: tuple, members: dict, attributes: dict) -> BaseException:
    """An exception of class `cls` made without its constructor; `encode` refers to it."""
    error = bare_exception(cls, args)
    for descriptor in member_descriptors(cls):
        if descriptor.__name__ in members:
            set_member(descriptor, error, members[descriptor.__name__])
    instance_dict(error).update(attributes)
    return error


def _traceback_of(error: BaseException) -> Any:
    return BaseException.__dict__["__traceback__"].__get__(error)


def _drop_own_frames(report: Any, seen: set[int]) -> None:
    """Takes bolide's frames out of a TracebackException and of those that it is linked with."""
    pending = [report]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        users = [frame for frame in one.stack if not _is_own(frame.filename)]
        if users:
            one.stack[:] = users
        pending += (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ()))


def _is_own(filename: str) -> bool:
    # Parts of _hot.pyx are known by their path in the source tree.
    return filename.startswith(_PACKAGE) or "/bolide/_hot" in filename


def _encode_cause(cause: BaseException | None, text: str) -> tuple[bytes | None, str]:
    """The pickled cause, and a sentence on what of it was lost."""
    if cause is None:
        return None, ""
    from ._serialize import dumps_in_band

    reason = ""
    try:
        data = dumps_in_band(cause)
        if len(data) > CAUSE_LIMIT:
            reason = f"it takes {len(data)} bytes and at most {CAUSE_LIMIT} are sent"
        elif _comes_back(data, type(cause)):
            return data, ""
        else:
            reason = "it does not come back from its own pickle"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = _safe_text(error)
    try:
        replaced: list[str] = []
        data = dumps_in_band(_Parts(cause, replaced))
        if len(data) <= CAUSE_LIMIT and _comes_back(data, type(cause)):
            what = f"These parts of the exception were replaced by texts: {', '.join(replaced)}."
            return data, f"({what})" if replaced else ""
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass
    lost = f"(The {type(cause).__name__} itself could not be sent: {reason})"
    return dumps_in_band(_stand_in(text)), lost


def _comes_back(data: bytes, cls: type) -> bool:
    import pickle

    try:
        return type(pickle.loads(data)) is cls
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False


class _Parts:
    """Pickles as the exception that it was made of, rebuilt without that one's constructor."""

    def __init__(self, error: BaseException, replaced: list[str]) -> None:
        args = BaseException.__dict__["args"].__get__(error)
        members = {d.__name__: v for d, v in members_of(error) if d.__name__ != "obj"}
        state = {k: v for k, v in instance_dict(error).items() if k != "__notes__"}
        self.reduced = (
            rebuild,
            (
                type(error),
                tuple(_sendable(v, f"args[{i}]", replaced) for i, v in enumerate(args)),
                {k: _sendable(v, k, replaced) for k, v in members.items()},
                {k: _sendable(v, str(k), replaced) for k, v in state.items()},
            ),
        )

    def __reduce__(self) -> tuple:
        return self.reduced


def _sendable(value: Any, name: str, replaced: list[str]) -> Any:
    """`value`, or a text in its place if it is too large or cannot be pickled."""
    from ._serialize import dumps_in_band

    if isinstance(value, (str, bytes)) and len(value) > _TEXT_PART_LIMIT:
        replaced.append(name)
        return value[:_TEXT_PART_LIMIT]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    try:
        import pickle

        data = dumps_in_band(value)
        pickle.loads(data)
        if len(data) <= _PART_LIMIT:
            return value
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass
    replaced.append(name)
    return _safe_text(value, kind=repr)


def _stand_in(text: str) -> BaseException:
    from .exceptions import UnserializableException

    return UnserializableException(text)


def _safe_text(value: object, kind: Any = None) -> str:
    """`str` or `repr` of anything, cut short; a bad `__str__` gives a text that says so."""
    try:
        text = kind(value) if kind else f"{type(value).__name__}: {value}"
        return cut_text(text, 4096) if type(text) is str else cut_text(str(text), 4096)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return f"<unprintable {type(value).__name__} object>"

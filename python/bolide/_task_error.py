"""RayError, the base of every bolide exception, and RayTaskError, the error of a failed task.

It is not the list of exceptions (`bolide.exceptions`, which re-exports both names) and not their
way between processes (`bolide._error_codec`). Follows Ray's page "Task fault tolerance", catching
application-level failures. Imports nothing at import time.

Thread safety: errors are plain values; the cache of dual classes is one dict whose steps are
atomic, and two threads that miss at once make two equal classes.
Invariants: no `__init__`, `__new__`, `__setattr__` or `__init_subclass__` of a user's class is ever
called here; a dual error answers for its cause's attributes with the cause's values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: set on classes made at run time, clear on built-in ones
_FUNCTION: Any = type(lambda: None)
_ARGS: Any = BaseException.__dict__["args"]  # get and set past any code of a user's class
_DESCRIPTORS = (type(_FUNCTION.__globals__), type(_FUNCTION.__code__))  # member, getset
_NEVER_COPIED = frozenset(
    ("args", "__class__", "__dict__", "__weakref__", "__traceback__", "__context__", "__cause__",
     "__suppress_context__", "__notes__")
)  # fmt: skip
_DUAL_CACHE_LIMIT = 1024

_dual_classes: dict[type, type | None] = {}


def bare_exception(cls: type[BaseException], args: tuple) -> BaseException:
    """An instance of `cls` with these `args` on which no Python code of the class has run.

    Raises TypeError where the built-in base of `cls` refuses that.
    """
    base: Any = cls
    while base.__flags__ & _HEAP_TYPE:
        base = base.__base__
    try:
        made = base.__new__(cls)
    except TypeError:  # groups of exceptions want their arguments at once
        made = base.__new__(cls, *args)
    if type(made) is not cls:
        raise TypeError(f"{base.__name__}.__new__ did not make a {cls.__name__}")
    _ARGS.__set__(made, args)
    return made


def member_descriptors(cls: type) -> Iterator[Any]:
    """Descriptors of what built-in bases and `__slots__` of `cls` keep outside `__dict__`."""
    for base in cls.__mro__:
        for name, descriptor in list(vars(base).items()):
            if type(descriptor) in _DESCRIPTORS and name not in _NEVER_COPIED:
                yield descriptor


def members_of(error: BaseException) -> Iterator[tuple[Any, Any]]:
    """The (descriptor, value) pairs of `member_descriptors` that have a value in `error`."""
    for descriptor in member_descriptors(type(error)):
        try:
            value = descriptor.__get__(error)
        except Exception:  # an empty slot
            continue
        yield descriptor, value


def set_member(descriptor: Any, error: BaseException, value: Any) -> None:
    """Sets a member of `error`, passing over those that the built-in base has made read-only."""
    try:
        descriptor.__set__(error, value)
    except Exception:
        pass


def instance_dict(error: BaseException) -> dict:
    """The `__dict__` of an error, past any `__getattribute__` of its class."""
    return BaseException.__dict__["__dict__"].__get__(error)


def _rebuild(cls: type, args: tuple, state: dict) -> BaseException:
    error = bare_exception(cls, args)
    instance_dict(error).update(state)
    return error


class RayError(Exception):
    """Base class of every exception that bolide itself raises.

    Catch it to handle any failure of the runtime or of a remote task in one place. Follows
    `ray.exceptions.RayError`. Every subclass can be pickled, whatever its constructor takes.
    """

    _default_message = ""

    def __str__(self) -> str:
        return super().__str__() or self._default_message

    def __reduce__(self) -> tuple:
        state = {k: v for k, v in instance_dict(self).items() if k != "__notes__"}
        return _rebuild, (type(self), self.args, state)


class RayTaskError(RayError):
    """A task or an actor method raised an exception; `str` of this error is the remote traceback.

    `get` raises it as an instance of the user's own exception class too, so that
    ``except ValueError:`` works across processes. Read `cause` for the original exception.

    Args:
        function_name: the function or method that failed.
        traceback_str: the traceback as text, written in the worker.
        cause: the user's exception, None if it is unknown.
        proctitle: title of the worker process.
        pid: process id of the worker.
        ip: address of the worker's machine.
        actor_repr: `repr` of the actor, for a method.
        actor_id: id of the actor, as hex digits.
        task_id: id of the task, as hex digits.

    Example:
        >>> try:
        ...     ray.get(f.remote())
        ... except ray.exceptions.RayTaskError as error:
        ...     print(error)  # f() failed in worker pid 4711: ...

    Follows `ray.exceptions.RayTaskError`.
    """

    function_name: str
    traceback_str: str
    cause: BaseException | None
    proctitle: str | None
    pid: int
    ip: str | None
    actor_repr: str | None
    actor_id: str | None
    task_id: str | None

    def __init__(
        self,
        function_name: str,
        traceback_str: str,
        cause: BaseException | None,
        proctitle: str | None = None,
        pid: int | None = None,
        ip: str | None = None,
        actor_repr: str | None = None,
        actor_id: str | None = None,
        task_id: str | None = None,
    ) -> None:
        if pid is None:
            from os import getpid

            pid = getpid()
        # args as in Ray
        _ARGS.__set__(self, (function_name, traceback_str, cause, proctitle, pid, ip))
        instance_dict(self).update(
            function_name=function_name, traceback_str=traceback_str, cause=cause,
            proctitle=proctitle, pid=pid, ip=ip, actor_repr=actor_repr, actor_id=actor_id,
            task_id=task_id,
        )  # fmt: skip

    def __str__(self) -> str:
        fields = instance_dict(self)
        where = f"worker pid {fields['pid']}"
        if fields["actor_repr"]:
            where += f", actor {fields['actor_repr']}"
        return f"{fields['function_name']}() failed in {where}:\n{fields['traceback_str'].strip()}"

    def make_dual_exception_type(self) -> type:
        """The class derived from RayTaskError and from the cause's class, made once a class.

        Raises:
            TypeError: if the cause's class cannot be subclassed that way, or is not an Exception.
        """
        dual = _dual_class(type(self.cause))
        if dual is None:
            raise TypeError(f"{type(self.cause).__name__} cannot be a base of a RayTaskError")
        return dual

    def as_instanceof_cause(self) -> RayTaskError:
        """This error as an instance of the cause's class also, to be raised by `get`.

        Attributes and `args` are the cause's; `cause` is the cause itself; names that the cause
        does not have (`pid`, `function_name`, ...) are this error's.

        Returns:
            `self` where that cannot be or need not be: no cause, a class that refuses subclasses,
            and SystemExit, KeyboardInterrupt and others outside Exception, which would end the
            driver if they were raised there.
        """
        cause = self.cause
        if cause is None or type(cause) in RayTaskError.__mro__:
            return self
        dual = _dual_class(type(cause))
        if dual is None:
            return self
        try:
            error: Any = bare_exception(dual, tuple(_ARGS.__get__(cause)))
        except Exception:
            return self
        for descriptor, value in members_of(cause):
            set_member(descriptor, error, value)
        attributes = instance_dict(error)
        attributes.update(instance_dict(cause))
        attributes.pop("__notes__", None)  # the remote traceback shows them already
        attributes["cause"] = cause
        attributes["_task_error"] = self
        return error

    def __reduce__(self) -> tuple:
        if type(self) is not RayTaskError:
            return super().__reduce__()
        from ._error_codec import encode, load_plain

        return load_plain, (encode(self),)


class _Dual(RayTaskError):
    """First base of every dual class: answers for the RayTaskError half."""

    def __init_subclass__(cls, **_: object) -> None:
        """Ends here: a user's hook must not see the dual class."""

    def __str__(self) -> str:
        return str(instance_dict(self)["_task_error"])

    def __getattr__(self, name: str) -> Any:
        attributes = instance_dict(self)
        if name.startswith("__") or "_task_error" not in attributes:
            raise AttributeError(name)
        try:
            return getattr(attributes["cause"], name)
        except AttributeError:
            return getattr(attributes["_task_error"], name)

    def as_instanceof_cause(self) -> RayTaskError:
        return self

    def __reduce__(self) -> tuple:
        from ._error_codec import encode, load_dual

        return load_dual, (encode(instance_dict(self)["_task_error"]),)


def _dual_class(cause_class: type) -> type | None:
    """The dual class of a cause's class, None if there can be none."""
    try:
        return _dual_classes[cause_class]
    except KeyError:
        pass
    except TypeError:  # a metaclass without __hash__
        return None
    name = f"RayTaskError({cause_class.__name__})"
    dual = None
    if issubclass(cause_class, Exception) and not issubclass(cause_class, RayTaskError):
        body = {"__module__": "bolide.exceptions", "__qualname__": name}
        try:
            made = type(name, (_Dual, cause_class), body)
            dual = made if isinstance(made, type) and issubclass(made, _Dual) else None
        except Exception:  # a final class, a layout conflict, a metaclass of its own mind
            dual = None
    if len(_dual_classes) >= _DUAL_CACHE_LIMIT:
        _dual_classes.clear()  # classes redefined for ever in a notebook must not stay for ever
    _dual_classes[cause_class] = dual
    return dual

"""Exporting functions: how a remote function gets to the workers, and how it refers to others.

A function travels once, as an object of the store: the length and the UTF-8 of its name, the calls
after which its worker ends, then a pickle of the function. A RemoteFunction inside another
function's globals, or inside a value, travels as the reference to its object and its options, so a
recursive function is sent once.

Thread safety: as the session; called with the GIL.
"""

from __future__ import annotations

import pickle
import struct
import sys
from _thread import _local

from . import _hot
from ._hot import Exported, RemoteFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Running(_local):
    """The exports under way in this thread, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Exported] = []


_running = _Running()


def export_function(exported: Exported) -> _hot.ObjectRef:
    """Pickles the function and puts it for the workers; its ObjectRef."""
    from . import _runtime

    _runtime.refresh_settings()
    _running.stack.append(exported)
    try:
        data, refs = _hot.pickle_collecting(lambda restart: _dump(exported, restart))
    finally:
        _running.stack.pop()
    name = exported.name.encode("utf-8", "replace")
    header = struct.pack(f"<I{len(name)}sI", len(name), name, exported.max_calls)
    return _hot.put_function(header + data, refs)


def _dump(exported: Exported, restart: Callable[[], object]) -> bytes:
    from ._serialize import explain_unpicklable, is_importable

    function = exported.function
    module = getattr(function, "__module__", None)
    if module is not None and is_importable(module) and _found(module, function):
        return pickle.dumps(_ByName(module, function.__qualname__), 5)
    from ._by_value import dump

    try:
        return dump(function, restart)
    except BaseException as error:
        explained = explain_unpicklable(function, f"the function {exported.name!r}", error)
        if explained is error:
            raise
        raise explained from error


def _found(module: str, function: Any) -> bool:
    """Whether the module's attribute of that name is the function, or remote with it inside."""
    found = sys.modules.get(module)
    for part in getattr(function, "__qualname__", "<").split("."):
        found = getattr(found, part, None)
    return found is function or _function_in(found) is function


def _function_in(found: Any) -> Any:
    """The function or class inside of what `@remote` made of it, None if it is something else."""
    if isinstance(found, RemoteFunction):
        return found.exported.function
    exported = getattr(type(found), "_ray_exported", 0) is None and found._ray_exported
    return exported.function if exported else None


class _ByName:
    """Pickles as a look-up in an importable module, past the decorator that hides the function."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __reduce__(self) -> tuple[Any, ...]:
        return _look_up, (self.module, self.name)


def _look_up(module: str, name: str) -> Any:
    import importlib

    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return _function_in(found) or found


def load_function(value: bytes) -> tuple[Any, str, int | None]:
    """In a worker: the callable, its name and its max_calls (None: no limit) from its bytes."""
    (length,) = struct.unpack_from("<I", value)
    name = value[4 : 4 + length].decode("utf-8", "replace")
    (max_calls,) = struct.unpack_from("<I", value, 4 + length)
    return pickle.loads(memoryview(value)[8 + length :]), name, max_calls or None


def reduce_remote_function(function: RemoteFunction) -> tuple[Any, ...]:
    """How a RemoteFunction travels: by the reference to its function's object, and its options.

    Inside its own function (recursion) there is no reference yet, and none is wanted: it would
    keep the function alive for ever. Inside a function that it refers to (mutual recursion) it
    travels by value, and the worker exports it again if it calls it.
    """
    exported, options = function.exported, function._options.given
    bounds = function.fewest, function.most
    about = exported.name, exported.generator
    if _running.stack and _running.stack[-1] is exported:
        return _rebuild_itself, (about, options, bounds)
    if exported in _running.stack:
        made = exported.function, *about, exported.max_calls
        return _rebuild_by_value, (made, options, bounds)
    return _rebuild, (exported.reference(), about, options, bounds)


def reduce_actor_class(cls: Any) -> tuple[Any, ...]:
    """How an ActorClass travels: as a RemoteFunction does, with what is known of its methods."""
    exported = cls._ray_exported
    methods = tuple(method.fields() for method in cls._ray_methods)
    about = cls._ray_options.given, methods, cls._ray_async, cls._ray_init
    if _running.stack and _running.stack[-1] is exported:
        return _rebuild_class_itself, (exported.name, about)
    if exported in _running.stack:
        return _rebuild_class_by_value, (exported.function, exported.name, about)
    return _rebuild_class, (exported.reference(), exported.name, about)


def _rebuild_class_itself(name: str, about: tuple) -> Any:
    return _remade_class(Exported.of_itself(name, False), about)


def _rebuild_class_by_value(cls: type, name: str, about: tuple) -> Any:
    return _remade_class(Exported(cls, name), about)


def _rebuild_class(ref: _hot.ObjectRef, name: str, about: tuple) -> Any:
    return _remade_class(Exported.of_ref(ref, name, False), about)


def _remade_class(exported: Exported, about: tuple) -> Any:
    from ._actor_class import _make
    from ._actor_methods import MethodInfo
    from ._actor_options import ActorOptions

    given, methods, is_async, init = about
    return _make(
        exported, ActorOptions(given), [MethodInfo(*method) for method in methods], is_async, init
    )


def _rebuild_itself(
    about: tuple[str, bool], options: dict[str, Any], bounds: tuple[int, int]
) -> RemoteFunction:
    return _remade(Exported.of_itself(*about), options, bounds)


def _rebuild_by_value(
    made: tuple[Any, str, bool, int], options: dict[str, Any], bounds: tuple[int, int]
) -> RemoteFunction:
    return _remade(Exported(*made), options, bounds)


def _rebuild(
    ref: _hot.ObjectRef,
    about: tuple[str, bool],
    options: dict[str, Any],
    bounds: tuple[int, int],
) -> RemoteFunction:
    return _remade(Exported.of_ref(ref, *about), options, bounds)


def _remade(exported: Exported, options: dict[str, Any], bounds: tuple[int, int]) -> RemoteFunction:
    from ._options import TaskOptions
    from ._remote import first_class

    checked = TaskOptions(options)
    return RemoteFunction(exported, checked, first_class(checked), bounds)


def check_signature(
    function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raises the TypeError that a call of the function with these arguments would raise."""
    if function is None:  # only a handle: the worker that runs it will tell
        return
    import inspect

    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a builtin without one
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}.remote(): {error}; it takes {name}{signature}") from None


def argument_subject(function: Any, name: str, where: int | str) -> str:
    """What to call an argument in a sentence: "argument 'x' of 'f'"."""
    if isinstance(where, int):
        code = getattr(function, "__code__", None)
        if code is not None and where < code.co_argcount:
            where = code.co_varnames[where]
    return f"argument {where!r} of {name!r}"

"""The pickler that sends functions and classes by value where a worker cannot import them.

It is not the fast path: plain pickle and the codecs of `bolide._hot` come first. It is cloudpickle
with four changes: what cannot be imported by a worker goes by value although the driver has it in
sys.modules; dynamic classes keep their identity and their origin's state (`bolide._dynamic_class`);
RecursionError stays RecursionError; code keeps the name of its file. Imports cloudpickle, so import
it on first use only.

Thread safety: a pickler belongs to one call. Invariants: a pickle holds its dynamic classes either
all in bundles before it or, if it holds dynamic functions, all inline.
"""

from __future__ import annotations

import dataclasses
import pickle
import types

from cloudpickle import cloudpickle as _cp

from . import _dynamic_class as _classes
from ._importable import is_importable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SINGLETON_TYPES = (type(None), type(Ellipsis), type(NotImplemented))


# Type of a sentinel of dataclasses -> the name under which it is found there.
_SENTINELS = {
    type(getattr(dataclasses, name)): name
    for name in ("MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY")
    if hasattr(dataclasses, name)
}


class _NeedsInline(BaseException):
    """Raised out of a pickling that met a dynamic function; no user code may swallow it."""


class Pieces(list):
    """A file that keeps what is written: large bytes and text are handed over without a copy.

    Pieces of text point into a str that only the memo of the pickler may hold.
    """

    def write(self, piece: Any) -> None:
        self.append(piece)


class Pickler(_cp.Pickler):
    """One pickling, with dynamic classes referred to by id or, if `inline`, written out."""

    def __init__(
        self, file: Any, buffer_callback: Any, inline: bool, reducers: dict[type, Any] | None = None
    ) -> None:
        self._reducers = {**_cp.Pickler.dispatch_table, **(reducers or {})}
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.inline = inline
        self.classes: dict[str, type] = {}  # dynamic classes met, by tracker id
        self.portable = True  # no object of the runtime met

    @property
    def dispatch_table(self) -> dict[type, Any]:
        """Reducers of exact types; the C base class asks for it when it is made."""
        return self._reducers

    def dump(self, obj: Any) -> None:
        pickle.Pickler.dump(self, obj)  # cloudpickle's turns RecursionError into PicklingError

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if type in kind.__mro__:
            return self._reduce_class(obj)
        if isinstance(obj, types.FunctionType):
            if _by_reference(obj):
                return NotImplemented
            if not self.inline:
                raise _NeedsInline
            return self._dynamic_function_reduce(obj)
        if kind is types.CodeType:
            return _code_reduce(obj)
        if kind is types.ModuleType:
            if obj.__name__ != "__main__" and not is_importable(obj.__name__):
                return self._reduce_module(obj)
        elif self.inline:
            module = str(kind.__module__)
            if module == "dataclasses" and kind in _SENTINELS:
                return _SENTINELS[kind]  # they are compared by identity, and pickle would copy them
            if module.startswith("bolide."):
                self.portable = False
        return NotImplemented

    def _reduce_class(self, cls: type) -> Any:
        if cls in _SINGLETON_TYPES or cls in _cp._BUILTIN_TYPE_NAMES:
            return _cp._class_reduce(cls)
        if _by_reference(cls):
            return NotImplemented
        self.classes[tracker_id := _classes.tracker_id_of(cls)] = cls
        if not self.inline:
            return _classes.lookup, (tracker_id,)
        maker, args, state, *_ = _cp._dynamic_class_reduce(cls)
        state[0].pop("__slotnames__", None)  # a cache of copyreg; it would make equal states differ
        if "__slots__" in state[0] and not issubclass(cls, tuple):
            # cloudpickle would set them too late to have an effect. (Tuples can have none; the
            # maker of typing.NamedTuple sets its own.)
            args[3]["__slots__"] = _slots_of(cls, state[0].pop("__slots__"))
        return _classes.make_class, (maker, args), state, None, None, _classes.set_class_state

    @staticmethod
    def _reduce_module(module: types.ModuleType) -> tuple:
        left_out = ("__builtins__", "__spec__", "__loader__")
        state = {name: value for name, value in vars(module).items() if name not in left_out}
        return _cp.dynamic_subimport, (module.__name__, state)


def dump(obj: Any, on_restart: Callable[[], object]) -> bytes:
    """The pickle of `obj`, buffers included; see `bolide._serialize.dumps`."""
    _, pieces = dump_pieces(obj, None, on_restart)
    return b"".join(pieces)


def dump_pieces(
    obj: Any,
    buffer_callback: Any,
    on_restart: Callable[[], object],
    reducers: dict[type, Any] | None = None,
) -> tuple[Pickler, Pieces]:
    """The pickle in pieces, and the pickler, which has to live as long as they are used.

    `reducers` are those of `bolide._reducers`: for pickles with buffers beside them only.
    """
    inline = isinstance(obj, types.FunctionType)
    try:
        pickler, pieces = _dump_once(obj, buffer_callback, inline, reducers)
    except _NeedsInline:
        on_restart()
        pickler, pieces = _dump_once(obj, buffer_callback, True, reducers)
    if not pickler.inline and pickler.classes:
        _enclose(_classes.bundles_for(pickler.classes, _describe), pieces)
    return pickler, pieces


def _dump_once(
    obj: Any, buffer_callback: Any, inline: bool, reducers: dict[type, Any] | None = None
) -> tuple[Pickler, Pieces]:
    pieces = Pieces()
    pickler = Pickler(pieces, buffer_callback, inline, reducers)
    pickler.dump(obj)
    return pickler, pieces


def _describe(classes: tuple[type, ...]) -> tuple[bytes, tuple[str, ...], bool]:
    pickler, pieces = _dump_once(classes, None, inline=True)
    return b"".join(pieces), tuple(pickler.classes), pickler.portable


def _enclose(bundles: list[_classes.Bundle], pieces: Pieces) -> None:
    """Makes the pickle that of ``finish(apply(bundles), its value)``.

    The opcodes put before it memoize nothing, so the indexes of its own memo stay right; its STOP
    becomes TUPLE2 in place, so the lengths of its frames stay right too.
    """
    blob = _classes.encode(bundles)
    pieces[-1] = pieces[-1][:-1] + pickle.TUPLE2 + pickle.REDUCE + pickle.STOP
    pieces.insert(
        0,
        b"".join(
            (
                pickle.PROTO + b"\x05",
                _global("finish"),
                _global("apply"),
                pickle.BINBYTES8 + len(blob).to_bytes(8, "little") + blob,
                pickle.TUPLE1 + pickle.REDUCE,
            )
        ),
    )


def _slots_of(cls: type, slots: Any) -> Any:
    """`__slots__` for making the class again; an iterator given there is long used up."""
    if isinstance(slots, (str, tuple, list, dict)):
        return slots
    return tuple(n for n, v in vars(cls).items() if isinstance(v, types.MemberDescriptorType))


def _global(name: str) -> bytes:
    words = (_classes.__name__.encode(), name.encode())
    text = b"".join(pickle.SHORT_BINUNICODE + bytes((len(w),)) + w for w in words)
    return text + pickle.STACK_GLOBAL


def _code_reduce(code: types.CodeType) -> tuple:
    """As cloudpickle's, whose releases from 3.1.3 put "<dynamic-code>" in place of the file.

    Without it a remote traceback would name no file and show no source.
    """
    maker, args = _cp._code_reduce(code)
    place = next(i for i, arg in enumerate(args) if isinstance(arg, str))  # the first is the file
    return maker, (*args[:place], code.co_filename, *args[place + 1 :])


def _by_reference(obj: Any) -> bool:
    """Whether a worker can get a function or class by importing its module."""
    found = _cp._lookup_module_and_qualname(obj)
    if found is None:
        return False
    return is_importable(getattr(obj, "__module__", None) or found[0].__name__)

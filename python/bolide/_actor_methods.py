"""What a handle knows of an actor's class, and how an actor's object describes it to the node.

An actor is an object (docs/decisions/0007-actor-is-an-object.md): its value begins with what the
node reads (cpp/node/actor_spec.h) and ends with the pickled ActorInfo, for handles that are made
from the object alone. A handle that is pickled carries the same bytes.

Thread safety: what is made here never changes; the caches are dicts whose steps are atomic.
"""

from __future__ import annotations

import pickle
import struct
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._actor_options import ActorOptions

# Methods that every actor has, by name: (fewest, most) positional arguments.
BUILT_IN = {"__ray_ready__": (0, 0), "__ray_call__": (1, 1 << 30), "__ray_terminate__": (0, 0)}
_IN_ORDER, DETACHED = 1, 2  # cpp/node/actor_spec.h
_KEYWORD_ONLY = 3  # of inspect.Parameter.kind


class MethodInfo:
    """One method, as a caller needs to know it.

    Fields: `name`; `num_returns`; `max_task_retries` (None: the actor's); `retry` (None: no
    exception; else as `bolide._retries` encodes it); `group`, the name of its concurrency group or
    None; `fewest`, `most`: how many positional arguments need no closer look; `parameters`, for
    that look: (name, kind, whether it has a default), or None if they are unknown; `generator`;
    `stream_limit` (None: the actor's), items that a generator may be ahead.
    """

    __slots__ = (
        "fewest", "generator", "group", "max_task_retries", "most", "name", "num_returns",
        "parameters", "retry", "stream_limit",
    )  # fmt: skip

    def __init__(self, *fields: Any) -> None:
        (
            self.name, self.num_returns, self.max_task_retries, self.retry, self.group,
            self.fewest, self.most, self.parameters, self.generator, self.stream_limit,
        ) = fields  # fmt: skip

    def fields(self) -> tuple:
        return (
            self.name, self.num_returns, self.max_task_retries, self.retry, self.group,
            self.fewest, self.most, self.parameters, self.generator, self.stream_limit,
        )  # fmt: skip


class ActorInfo:
    """What a handle knows of an actor beside its id.

    Fields: `class_name`; `methods`, MethodInfos in the order of their indexes, and `index`, name to
    index; `groups`, names of the concurrency groups, None first for the default;
    `max_task_retries`; `max_pending_calls`; `stream_limit`, items that generators may be ahead;
    `data`, all of this pickled.
    """

    __slots__ = (
        "class_name", "data", "groups", "index", "max_pending_calls", "max_task_retries", "methods",
        "stream_limit",
    )  # fmt: skip

    def __init__(self, fields: tuple, data: bytes) -> None:
        (
            self.class_name, methods, self.groups, self.max_task_retries, self.max_pending_calls,
            self.stream_limit,
        ) = fields  # fmt: skip
        self.methods = tuple(MethodInfo(*method) for method in methods)
        self.index = {method.name: i for i, method in enumerate(self.methods)}
        self.data = data


_infos: dict[bytes, ActorInfo] = {}


def load_info(data: bytes) -> ActorInfo:
    """The ActorInfo of its pickled form; the same one each time."""
    info = _infos.get(data)
    if info is None:
        if len(_infos) >= 1024:
            _infos.clear()  # classes redefined for ever in a notebook must not stay for ever
        info = _infos[data] = ActorInfo(pickle.loads(data), data)
    return info


def info_of(class_name: str, methods: list[MethodInfo], options: ActorOptions) -> ActorInfo:
    """The ActorInfo of an actor that is made with these options.

    Raises:
        ValueError: a method is in a concurrency group that the options do not have.
    """
    groups = (None, *options.concurrency_groups)
    for method in methods:
        if method.group not in groups:
            raise ValueError(
                f"the method {class_name}.{method.name} is in the concurrency group "
                f"{method.group!r}, which the class does not have; add it to "
                f"@remote(concurrency_groups={{{method.group!r}: 1}})."
            )
    fields = (
        class_name, tuple(method.fields() for method in methods), groups,
        options.max_task_retries, options.max_pending_calls, options.stream_limit,
    )  # fmt: skip
    return load_info(pickle.dumps(fields, 5))


def methods_of(cls: type) -> list[MethodInfo]:
    """The methods of a class that a handle has, sorted by name, the built-in ones last."""
    found = []
    for name in sorted(dir(cls)):
        if name != "__init__" and name not in BUILT_IN:
            method = getattr(cls, name, None)
            if _is_method(method):
                found.append(_describe(cls, name, method))
    for name, (fewest, most) in BUILT_IN.items():
        found.append(MethodInfo(name, 1, None, None, None, fewest, most, None, False, None))
    return found


def is_async_class(cls: type) -> bool:
    """Whether one of its methods is an ``async def``: its actors run calls in an event loop."""
    from ._generators import is_async_function

    return any(is_async_function(getattr(cls, name, None)) for name in dir(cls))


def _is_method(member: Any) -> bool:
    return isinstance(member, (FunctionType, MethodType)) or (
        type(member).__name__ == "cython_function_or_method"
    )


def _describe(cls: type, name: str, method: Any) -> MethodInfo:
    from ._generators import is_generator_function

    options = getattr(method, "__ray_method_options__", {})
    retry = options.get("retry_exceptions") or None
    if retry is not None:
        from ._retries import encode

        retry = encode(retry)
    fewest, most, parameters = _signature(cls, name, method)
    generator = is_generator_function(method)
    returns = options.get("num_returns", "streaming" if generator else 1)
    return MethodInfo(
        name, returns, options.get("max_task_retries"), retry, options.get("concurrency_group"),
        fewest, most, parameters, generator, options.get("_generator_backpressure_num_objects"),
    )  # fmt: skip


def _signature(cls: type, name: str, method: Any) -> tuple[int, int, tuple | None]:
    """(fewest, most, parameters) of a method as it is called on an instance."""
    bound = isinstance(method, MethodType) or isinstance(_raw(cls, name), staticmethod)
    skip = 0 if isinstance(_raw(cls, name), staticmethod) else 1
    function = method
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    parameters = parameters_of(getattr(function, "__func__", function), skip)
    if parameters is None or function is not method and not bound:
        return 1, 0, parameters  # always look
    fewest = most = 0
    for _, kind, optional in parameters:
        if kind == 2:
            most = 1 << 30
        elif kind == _KEYWORD_ONLY and not optional:
            return 1, 0, parameters
        elif kind < 2:
            most += most < 1 << 30
            fewest += not optional
    return fewest, most, parameters


def _raw(cls: type, name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def parameters_of(function: Any, skip: int = 1) -> tuple | None:
    """The parameters of a function as (name, kind of inspect, whether optional), the first `skip`
    left out; None if they cannot be told."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    names = code.co_varnames
    positional = code.co_argcount
    defaults = len(getattr(function, "__defaults__", None) or ())
    keyword_defaults = getattr(function, "__kwdefaults__", None) or {}
    found = [
        (names[i], 0 if i < code.co_posonlyargcount else 1, i >= positional - defaults)
        for i in range(positional)
    ]
    at = positional + code.co_kwonlyargcount
    if code.co_flags & 0x04:
        found.append((names[at], 2, True))
        at += 1
    found += [
        (name, _KEYWORD_ONLY, name in keyword_defaults)
        for name in names[positional : positional + code.co_kwonlyargcount]
    ]
    if code.co_flags & 0x08:
        found.append((names[at], 4, True))
    if skip and not (found and found[0][1] < 2):
        skip = 0  # def method(*args): self is among them
    return tuple(found[skip:])


def check_call(name: str, parameters: tuple | None, args: tuple, kwargs: dict[str, Any]) -> None:
    """Raises the TypeError that calling with these arguments would raise."""
    if parameters is None:
        return
    from inspect import Parameter, Signature

    kinds = list(type(Parameter.POSITIONAL_ONLY))
    signature = Signature(
        Parameter(
            each, kinds[kind], default=... if optional and kind not in (2, 4) else Parameter.empty
        )
        for each, kind, optional in parameters
    )
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}.remote(): {error}; it takes {name}{signature}") from None


def encode_actor(
    info: ActorInfo, options: ActorOptions, limits: list[int], in_order: bool, key: bytes
) -> bytes:
    """The value of an actor's object."""
    name = info.class_name.encode("utf-8", "replace")
    flags = (_IN_ORDER if in_order else 0) | (DETACHED if options.detached else 0)
    parts = [
        struct.pack("<I", len(name)), name,
        struct.pack(
            "<iiIIII", options.max_restarts, options.max_pending_calls, flags, len(limits),
            len(key), len(info.methods),
        ),
        struct.pack(f"<{len(limits)}I", *limits), key,
    ]  # fmt: skip
    for method in info.methods:
        encoded = method.name.encode("utf-8", "replace")
        parts += struct.pack("<I", len(encoded)), encoded
    return b"".join((*parts, info.data))


def decode_actor(value: bytes) -> ActorInfo:
    """The ActorInfo in the value of an actor's object."""
    (length,) = struct.unpack_from("<I", value)
    at = 4 + length
    _, _, _, groups, key, methods = struct.unpack_from("<iiIIII", value, at)
    at += 24 + 4 * groups + key
    for _ in range(methods):
        (length,) = struct.unpack_from("<I", value, at)
        at += 4 + length
    return load_info(value[at:])


def key_of(namespace: str, name: str) -> bytes:
    """The key under which the node keeps a name."""
    return namespace.encode() + b"\0" + name.encode()

"""The `@remote` decorator: from a function and its options to a RemoteFunction.

It is not the call itself (`_hot_call.pxi`) and not the table of options (`bolide._options`).
Thread safety: no state.
"""

from __future__ import annotations

from . import _job
from ._hot import Exported, RemoteFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._options import TaskOptions
    from ._place import Place

_PLAIN_CLASS = 0  # one CPU, the job's environment: known to every node without being defined
_OTHER_CLASS = 1  # one that the first call in a session works out


def remote(*args: Any, **options: Any) -> Any:
    """Makes a function or a class remote.

    ``f.remote(...)`` runs a function in a worker process; ``Class.remote(...)`` makes an actor.

    Args:
        *args: the function or class, when used as ``@remote``.
        **options: when used as ``@remote(num_cpus=2, ...)``: num_cpus (CPUs, fractions too),
            num_gpus, resources (a dict of custom resources), memory (bytes), num_returns (values
            that the function returns), max_retries (after a crash of its worker; -1: without end),
            name (for messages), runtime_env (docs/drop_in.md). Of actors: docs/actors.md.

    Returns:
        A RemoteFunction or an ActorClass, or with options a decorator that makes one.

    Raises:
        ValueError, TypeError: an option is unknown or its value is out of range; the argument is
            not a function.

    Example:
        >>> @remote(num_returns=2)
        ... def halves(x):
        ...     return x // 2, x - x // 2

    Follows Ray's page "ray.remote".
    """
    if len(args) == 1 and not options and callable(args[0]):
        return _make(args[0], {})
    if args or not options:
        raise TypeError(
            "The @ray.remote decorator must be applied either with no arguments and no "
            "parentheses, for example '@ray.remote', or it must be applied using some of the "
            "arguments in the list of options, for example '@ray.remote(num_returns=2)'."
        )
    _check_some(options)
    return lambda function: _make(function, options)


def _check_some(options: dict[str, Any]) -> None:
    """Raises for what is wrong for functions and for classes, before it is known which of them."""
    from ._actor_options import normalize_actor_options
    from ._options import OPTIONS, normalize_task_options

    of_actors = any(name in OPTIONS and OPTIONS[name].scope == "actor" for name in options)
    checks: list[Any] = [normalize_task_options, normalize_actor_options]
    first, second = reversed(checks) if of_actors else checks
    try:
        first(options)
    except (ValueError, TypeError):
        try:
            second(options)
        except (ValueError, TypeError):
            first(options)


def _make(function: Any, options: dict[str, Any]) -> Any:
    if isinstance(function, type):
        from ._actor_class import make_actor_class
        from ._actor_options import normalize_actor_options

        return make_actor_class(function, normalize_actor_options(options))
    if not callable(function):
        raise TypeError(
            "The @ray.remote decorator must be applied to either a function or a class, not to "
            f"{type(function).__name__}."
        )
    if isinstance(function, RemoteFunction) or hasattr(type(function), "_ray_exported"):
        raise TypeError(f"{function!r} is remote already; use .options(...) to change its options")
    from ._options import normalize_task_options

    checked = normalize_task_options(options)
    from ._generators import is_coroutine_function, is_generator_function

    name = getattr(function, "__qualname__", None) or type(function).__name__
    if is_coroutine_function(function):
        raise ValueError(
            f"'async def' should not be used for remote tasks, but {name!r} is one. Wrap it in a "
            "function that calls asyncio.run()."
        )
    exported = Exported(function, name, is_generator_function(function), checked.max_calls)
    return make_remote(exported, checked)


def make_remote(exported: Exported, options: TaskOptions) -> RemoteFunction:
    """A RemoteFunction of an exported function with checked options."""
    if isinstance(options.num_returns, str) and not exported.generator:
        raise ValueError(
            f"num_returns='{options.num_returns}' can only be used with generator functions "
            f"(functions that use 'yield'), but {exported.name!r} is not one."
        )
    if options.place is not None:
        from ._place import check_fits

        check_fits(options.place, f"the task '{exported.name}'", options.resources)
    made = RemoteFunction(exported, options, first_class(options), _bounds(exported.function))
    function = exported.function
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__", "__wrapped__"):
        value = function if attribute == "__wrapped__" else getattr(function, attribute, None)
        if value is not None:
            made.__dict__[attribute] = value
    return made


def with_options(function: RemoteFunction, options: dict[str, Any]) -> RemoteFunction:
    """The same exported function with other options (RemoteFunction.options)."""
    from ._options import normalize_task_options

    return make_remote(function.exported, normalize_task_options(options, base=function._options))


def class_of(
    resources: tuple[tuple[str, int], ...],
    place: Place | None = None,
    environment: int | None = None,
) -> int:
    """The key of the scheduling class that needs these resources and this environment, there: 0 for
    one CPU and the job's environment, which None stands for, else a hash.

    Equal needs have equal keys in every process of a session, and different ones collide with a
    probability of 2**-63.
    """
    where = () if place is None else place.key()
    if resources == (("CPU", 10000),) and environment is None and not where:
        return _PLAIN_CLASS
    import hashlib

    parts = resources, environment, *where
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1


def first_class(options: TaskOptions) -> int:
    """What a function begins with: 0 if it is of the plain class, which needs no definition."""
    if options.runtime_env is not None or _job.current.environment != 0:
        return _OTHER_CLASS
    return class_of(options.resources, options.place)


def class_in_session(options: TaskOptions) -> tuple[int, int, bytes]:
    """The scheduling class of a function that is not of the plain one; the key and the description
    of its environment."""
    if options.runtime_env is None and _job.current.environment == 0:
        return class_of(options.resources, options.place), 0, b""
    from ._runtime_env import of_task

    environment, description = of_task(options.runtime_env)
    key = class_of(options.resources, options.place, environment)
    return key, environment, description


def _bounds(function: Any) -> tuple[int, int]:
    """How few and how many positional arguments need no look at the signature."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or code.co_kwonlyargcount:
        return 1, 0  # always look
    if getattr(function, "__self__", None) is not None:
        return 1, 0
    defaults = len(function.__defaults__ or ())
    most = 1 << 30 if code.co_flags & 0x04 else code.co_argcount
    return code.co_argcount - defaults, most

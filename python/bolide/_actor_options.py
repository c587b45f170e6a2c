"""The options of an actor, of its methods and of single calls, checked and complete.

It is not the table of option names (`bolide._options`), which it reads. Follows Ray's pages
"ray.remote", "ActorClass.options" and "ray.method".

Thread safety: what is made here never changes afterwards.
"""

from __future__ import annotations

from ._option_checks import (
    UNITS,
    UnsupportedOptionError,
    anything,
    check_backpressure,
    check_name,
    check_retry_exceptions,
    check_returns,
    check_text,
    counter,
    instance_of,
)
from ._options import check_options, place_of, placed, units_beside_cpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._place import Place

MAX_CONCURRENCY_ASYNC = 1000  # calls at a time of an actor with coroutine methods, as in Ray


class MethodOptionError(ValueError, AssertionError):
    """A wrong option of a method. Ray asserts here; it is a ValueError as well."""


class ActorOptions:
    """What the runtime needs to know about an actor.

    Fields: `placement` and `kept`, tuples of (name, units of 1/10000): what it needs to be placed,
    and what it holds while it lives; `max_restarts`, `max_task_retries`, `max_pending_calls` (-1:
    without limit); `max_concurrency` (None: 1, or 1000 with coroutine methods);
    `concurrency_groups`; `out_of_order` (None: if it runs several calls at a time); `name`,
    `namespace`, `detached`, `get_if_exists`; `runtime_env`, checked, or None; `place`, a
    bolide._place.Place or None; `stream_limit`, items that its generators may be ahead (-1: any
    number); `given`, what the user gave, for merging.
    """

    __slots__ = (
        "concurrency_groups", "detached", "get_if_exists", "given", "kept", "max_concurrency",
        "max_pending_calls", "max_restarts", "max_task_retries", "name", "namespace",
        "out_of_order", "place", "placement", "runtime_env", "stream_limit",
    )  # fmt: skip

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.max_restarts: int = given.get("max_restarts", 0)
        self.max_task_retries: int = given.get("max_task_retries", 0)
        self.max_pending_calls: int = given.get("max_pending_calls", -1)
        self.max_concurrency: int | None = given.get("max_concurrency")
        self.concurrency_groups: dict[str, int] = given.get("concurrency_groups", {})
        self.out_of_order: bool | None = given.get("allow_out_of_order_execution")
        self.name: str | None = given.get("name")
        self.namespace: str | None = given.get("namespace")
        self.detached = given.get("lifetime") == "detached"
        self.get_if_exists: bool = given.get("get_if_exists", False)
        self.runtime_env: dict[str, Any] | None = given.get("runtime_env") or None
        self.stream_limit: int = given.get("_actor_generator_backpressure_num_objects", -1)
        self.place = place_of(given)
        self.placement, self.kept = _needs(given, self.place)


def _needs(given: dict[str, Any], place: Place | None) -> tuple[tuple, tuple]:
    """As in Ray: 1 CPU to be placed and none afterwards, unless resources are asked for; then 1 CPU
    for life if their number is not given."""
    units = units_beside_cpu(given)
    asked = "num_cpus" in given or any(n for name, n in units.items() if name != "memory")
    if place is not None:
        units = placed(units, place)
    cpus = given.get("num_cpus", UNITS)
    kept = {"CPU": cpus, **units} if asked else units
    placement = {"CPU": cpus, **units}
    return _sorted(placement), _sorted(kept)


def _sorted(units: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, n) for name, n in units.items() if n))


def normalize_actor_options(
    options: dict[str, Any], base: ActorOptions | None = None
) -> ActorOptions:
    """The options of an actor from keywords of ``@remote(...)`` or of ``.options(...)``.

    Args:
        options: keywords and values; None stands for an option's default.
        base: the class's options, for ``.options()``: keywords override it one by one.

    Returns:
        An ActorOptions.

    Raises:
        ValueError, TypeError: as `bolide._options.normalize_task_options`; and where options do
            not go together.

    Example:
        >>> normalize_actor_options({"num_gpus": 1}).kept
        (('CPU', 10000), ('GPU', 10000))

    Follows Ray's pages "ray.remote" and "ActorClass.options".
    """
    if base is not None and "concurrency_groups" in options:
        raise ValueError(
            "Setting 'concurrency_groups' is not supported in '.options()'; give it to the "
            "decorator: @remote(concurrency_groups={...})."
        )
    checked = check_options(options, "actor")
    if checked.get("name") == "":
        raise ValueError("Actor name cannot be an empty string; leave it out for none.")
    merged = {**(base.given if base is not None else {}), **checked}
    merged = {name: value for name, value in merged.items() if value is not None}
    if merged.get("get_if_exists") and "name" not in merged:
        raise ValueError(
            "The actor name must be specified to use `get_if_exists`; give name=... too."
        )
    if merged.get("allow_out_of_order_execution") is False and merged.get("max_concurrency", 1) > 1:
        raise ValueError(
            f"max_concurrency is {merged['max_concurrency']}, so calls cannot be kept in order; "
            "leave allow_out_of_order_execution out, or set it to True."
        )
    return ActorOptions(merged)


_checks: dict[str, Callable[[str, Any], Any]] = {
    "num_returns": check_returns,
    "concurrency_group": check_name,
    "max_task_retries": counter(-1, "-1 means without limit"),
    "retry_exceptions": check_retry_exceptions,
    "enable_task_events": instance_of("a bool", bool),
    "_generator_backpressure_num_objects": check_backpressure,
    "tensor_transport": anything,
}
_OF_CALLS = {"name": check_text}


def check_method_options(options: dict[str, Any], of_call: bool = False) -> dict[str, Any]:
    """Checks the keywords of ``@method(...)`` or, `of_call`, of ``handle.method.options(...)``.

    Returns:
        The values as the runtime wants them; None is left out.

    Raises:
        MethodOptionError: (a ValueError and an AssertionError) an unknown keyword.
        ValueError, TypeError: a value of the wrong type or out of range.
    """
    checks = {**_checks, **_OF_CALLS} if of_call else _checks
    checked = {}
    for name, value in options.items():
        if name not in checks:
            where = "handle.method.options()" if of_call else "@ray.method"
            known = ", ".join(sorted(key for key in checks if key[0] != "_"))
            raise MethodOptionError(
                f"Unexpected keyword argument to {where}: {name!r}. The supported keyword "
                f"arguments are {known}."
            )
        if value is not None:
            checked[name] = checks[name](name, value)
    if checked.get("tensor_transport") not in (None, "object_store", "OBJECT_STORE"):
        raise UnsupportedOptionError(
            f"tensor_transport={checked['tensor_transport']!r} is an option of Ray that this "
            "version of bolide does not carry out yet; leave it out."
        )
    return checked

"""The options of tasks and actors: one table, and what the runtime gets from keywords.

It is not the decorator (`bolide._remote`), not the scheduler, and not the checks of single values
(`bolide._option_checks`). Follows Ray's pages "ray.remote" and "RemoteFunction.options".

Thread safety: the table is constant; a TaskOptions never changes after it was made. Invariants:
every option name of Ray is in OPTIONS; a value that passes is carried out, or is a hint that may be
ignored: what is valid in Ray but not carried out yet is refused with UnsupportedOptionError.
"""

from __future__ import annotations

from ._labels import as_resources, check_selector
from ._option_checks import (
    UNITS,
    OptionTypeError,
    UnsupportedOptionError,
    anything,
    check_backpressure,
    check_cpus,
    check_gpus,
    check_groups,
    check_lifetime,
    check_memory,
    check_name,
    check_placement_group,
    check_resources,
    check_retry_exceptions,
    check_returns,
    check_runtime_env,
    check_strategy,
    check_text,
    counter,
    instance_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._place import Place

__all__ = [
    "OPTIONS",
    "Option",
    "OptionTypeError",
    "TaskOptions",
    "UnsupportedOptionError",
    "check_options",
    "normalize_task_options",
]

DEFAULT_MAX_RETRIES = 3


def _falsy(value: Any) -> bool:
    return not value


class Option:
    """One row of the table.

    Fields: `name`; `scope`, who may use it: "task", "actor" or "both"; `check(name, value)`, which
    returns the value as the runtime wants it or raises; `default`, which None stands for too;
    `status`: "works", "ignored" (a hint without effect) or "later" (only `default`, None and what
    `works_for` accepts pass); `works_for(value)`: with "works" False refuses a valid value as not
    carried out yet; `meaning`, one line.
    """

    __slots__ = ("check", "default", "meaning", "name", "scope", "status", "works_for")

    def __init__(
        self,
        name: str,
        scope: str,
        status: str,
        check: Callable[[str, Any], Any],
        default: Any,
        meaning: str,
        works_for: Callable[[Any], bool] | None = None,
    ) -> None:
        self.name = name
        self.scope = scope
        self.status = status
        self.check = check
        self.default = default
        self.meaning = meaning
        self.works_for = works_for


_infinite = counter(-1, "-1 means without limit")
_count = counter(0, "0 means without limit")
_flag = instance_of("a bool", bool)
_mapping = instance_of("a dict", dict)
_named = instance_of("a str", str)

# fmt: off
OPTIONS: dict[str, Option] = {option.name: option for option in (
    Option("num_cpus", "both", "works", check_cpus, 1, "CPU cores that it holds while it runs"),
    Option("num_gpus", "both", "works", check_gpus, 0, "GPUs that it holds, or a part of one"),
    Option("memory", "both", "works", check_memory, 0, "bytes of memory that it holds"),
    Option("resources", "both", "works", check_resources, None, "quantities of custom resources"),
    Option("name", "both", "works", check_text, None, "name for messages, or for get_actor"),
    Option("runtime_env", "both", "works", check_runtime_env, None, "environment of the worker"),
    Option("scheduling_strategy", "both", "works", check_strategy, "DEFAULT", "where it runs"),
    Option("accelerator_type", "both", "works", _named, None, "kind of accelerator to run on"),
    Option("object_store_memory", "both", "later", counter(0, "give bytes"), None, "bytes"),
    Option("placement_group", "both", "works", check_placement_group, "default",
           "placement group to run in; scheduling_strategy says the same"),
    Option("placement_group_bundle_index", "both", "works", anything, -1, "bundle to run in"),
    Option("placement_group_capture_child_tasks", "both", "works", _flag, None,
           "what it starts runs there too"),
    Option("label_selector", "both", "works", check_selector, None, "labels of the node"),
    Option("fallback_strategy", "both", "later", instance_of("a list", list), None,
           "options to fall back on", _falsy),
    Option("enable_task_events", "both", "ignored", _flag, True, "record it for the dashboard"),
    Option("_labels", "both", "later", _mapping, None, "labels", _falsy),
    Option("_metadata", "both", "ignored", _mapping, None, "notes of libraries"),
    Option("num_returns", "task", "works", check_returns, None,
           "number of references that it returns"),
    Option("max_retries", "task", "works", _infinite, DEFAULT_MAX_RETRIES,
           "runs after a crash of its worker; -1: always"),
    Option("retry_exceptions", "task", "works", check_retry_exceptions, False,
           "exceptions after which it runs again too"),
    Option("max_calls", "task", "works", _count, 0, "calls after which the worker is replaced"),
    Option("_generator_backpressure_num_objects", "task", "works", check_backpressure, -1,
           "items that a generator may be ahead; -1: any number"),
    Option("concurrency_groups", "actor", "works", check_groups, None, "named limits of methods"),
    Option("max_concurrency", "actor", "works", counter(1, "1 means one call at a time"), None,
           "calls at a time"),
    Option("max_restarts", "actor", "works", _infinite, 0, "starts after a crash; -1: always"),
    Option("max_task_retries", "actor", "works", _infinite, 0, "runs of a method after the first"),
    Option("max_pending_calls", "actor", "works", _infinite, -1, "calls that may wait"),
    Option("lifetime", "actor", "works", check_lifetime, None, '"detached" or None'),
    Option("namespace", "actor", "works", check_name, None, "where its name counts"),
    Option("get_if_exists", "actor", "works", _flag, False, "take the living actor of that name"),
    Option("allow_out_of_order_execution", "actor", "works", _flag, None, "calls may overtake"),
    Option("enable_tensor_transport", "actor", "later", _flag, None, "tensors go directly"),
    Option("_actor_generator_backpressure_num_objects", "actor", "works", check_backpressure, -1,
           "items that a generator may be ahead"),
)}
# fmt: on


def units_beside_cpu(given: dict[str, Any]) -> dict[str, int]:
    """What checked options ask for beside CPUs, by the name of the resource, zeroes included."""
    units = {"GPU": given.get("num_gpus", 0), "memory": given.get("memory", 0)}
    units.update(given.get("resources", {}))
    if "accelerator_type" in given:
        units[f"accelerator_type:{given['accelerator_type']}"] = UNITS // 1000
    units.update(as_resources(given.get("label_selector", {})))
    return units


def place_of(given: dict[str, Any]) -> Place | None:
    """Where checked options want a task or actor to run; None: they say nothing special."""
    strategy = given.get("scheduling_strategy", "DEFAULT")
    if isinstance(strategy, str) and not any(name in given for name in _PLACING):
        return None
    from . import _place

    return _place.place_of(given)


_PLACING = ("placement_group", "placement_group_bundle_index")


class TaskOptions:
    """What the runtime needs to know about a task, checked and complete.

    Fields: `num_returns` (an int, "dynamic", "streaming", or None: "streaming" for a generator,
    else 1); `stream_limit`, items that a stream may be ahead (0: any number); `max_retries` (-1:
    without limit); `retry_exceptions` (a bool, or a tuple of classes); `max_calls` (0: without
    limit; for tasks with a GPU 1 by default, so that its memory is freed); `name` (None: the
    function's); `resources`, a tuple of (name, units of 1/10000) sorted by name without
    zeroes, CPU, GPU and memory included, fit for a dict key; `place`, a bolide._place.Place
    or None; `runtime_env`; `plain`, True if all of these are the defaults; `given`, what the user
    gave, for merging.
    """

    __slots__ = (
        "_retry_classes", "given", "max_calls", "max_retries", "name", "num_returns", "place",
        "plain", "resources", "retry_exceptions", "runtime_env", "stream_limit",
    )  # fmt: skip

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.num_returns: int | str | None = given.get("num_returns")
        self.stream_limit = max(0, given.get("_generator_backpressure_num_objects", 0))
        self.max_retries: int = given.get("max_retries", DEFAULT_MAX_RETRIES)
        self.retry_exceptions: bool | tuple = given.get("retry_exceptions") or False
        self.name: str | None = given.get("name")
        self.runtime_env: Any = given.get("runtime_env") or None
        self.place = place_of(given)
        units = {"CPU": given.get("num_cpus", UNITS), **units_beside_cpu(given)}
        if self.place is not None:
            units = placed(units, self.place)
        self.resources = tuple(sorted((name, n) for name, n in units.items() if n))
        self.max_calls: int = given.get("max_calls", 1 if units["GPU"] else 0)
        self._retry_classes: bytes | None = None
        self.plain = not given or (
            self.resources == (("CPU", UNITS),)
            and self.num_returns in (None, 1)
            and self.stream_limit == 0
            and self.max_retries == DEFAULT_MAX_RETRIES
            and not self.retry_exceptions
            and self.name is None
            and self.runtime_env is None
            and (self.place is None or self.place.group is None)
        )

    def retry_classes(self) -> bytes:
        """`retry_exceptions` as each call carries it (`bolide._retries`)."""
        if self._retry_classes is None:
            from ._retries import encode

            self._retry_classes = encode(self.retry_exceptions)
        return self._retry_classes

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"TaskOptions({fields})"


_DEFAULTS = TaskOptions({})


def normalize_task_options(options: dict[str, Any], base: TaskOptions | None = None) -> TaskOptions:
    """The options of a task from keywords of ``@remote(...)`` or of ``.options(...)``.

    Args:
        options: keywords and values; None stands for an option's default.
        base: the function's options, for ``.options()``: keywords override it one by one
            (`resources` as a whole). None for the decorator.

    Returns:
        A TaskOptions; `base` itself if there are no keywords.

    Raises:
        OptionTypeError: (a TypeError and a ValueError) a value has the wrong type.
        UnsupportedOptionError: (a ValueError) valid in Ray, not carried out yet.
        ValueError: an unknown option, or a value out of range.

    Example:
        >>> normalize_task_options({"num_cpus": 0.5, "resources": {"disk": 2}}).resources
        (('CPU', 5000), ('disk', 20000))

    Follows Ray's pages "ray.remote" and "RemoteFunction.options".
    """
    if not options:
        return _DEFAULTS if base is None else base
    if base is None:
        return TaskOptions(_without_none(check_options(options, "task")))
    if "max_calls" in options:
        raise ValueError(
            "max_calls cannot be changed by .options(); give it to the decorator: "
            "@remote(max_calls=...)."
        )
    return TaskOptions(_without_none({**base.given, **check_options(options, "task")}))


def check_options(options: dict[str, Any], scope: str) -> dict[str, Any]:
    """Checks keywords one by one.

    Args:
        options: keywords and values.
        scope: ``"task"`` or ``"actor"``.

    Returns:
        The values as the runtime wants them; None where an option's default was asked for.

    Raises:
        ValueError: see `normalize_task_options`.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        option = OPTIONS.get(name)
        if option is None or option.scope not in (scope, "both"):
            raise _unknown(name, option, scope)
        if value is None:
            checked[name] = _no_group() if name == "placement_group" else None
            continue
        result = option.check(name, value)
        if option.status == "works":
            carried_out = option.works_for is None or option.works_for(result)
        else:
            neutral = option.works_for is not None and option.works_for(result)
            carried_out = neutral or option.status == "ignored" or result == option.default
        if not carried_out:
            raise _unsupported(option, value)
        checked[name] = result
    return checked


def _no_group() -> Any:
    """What `placement_group=None` says: in none, although the task that calls captures."""
    from ._placement import PlacementGroup

    return PlacementGroup.empty()


def placed(units: dict[str, int], place: Place) -> dict[str, int]:
    """What is needed in that place. A group's bundles have no kinds of accelerators."""
    if place.group is not None:
        units = {name: n for name, n in units.items() if not name.startswith("accelerator_type:")}
    return {**units, **place.resources}


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _unsupported(option: Option, value: Any) -> UnsupportedOptionError:
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    usual = "" if option.default is None else f" or give {option.name}={option.default!r}"
    return UnsupportedOptionError(
        f"{option.name}={text} is an option of Ray that this version of bolide does not carry out "
        f"yet; leave it out{usual}."
    )


def _unknown(name: str, option: Option | None, scope: str) -> ValueError:
    kind = "a task" if scope == "task" else "an actor"
    if option is not None:
        other = "actors" if option.scope == "actor" else "tasks"
        return ValueError(f"{name} is an option of {other} and not of {kind}; leave it out.")
    import difflib

    valid = [o.name for o in OPTIONS.values() if o.scope in (scope, "both") and o.name[0] != "_"]
    near = difflib.get_close_matches(str(name), valid, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "leave it out."
    return ValueError(
        f"{name!r} is not an option of {kind}; {hint} The options of {kind} are "
        f"{', '.join(sorted(valid))}."
    )

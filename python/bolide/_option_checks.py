"""Checks of option values: each returns the value as the runtime wants it, or raises a sentence.

It is not the table of options (`bolide._options`). A check is `check(name, value)`, the name being
the subject of the sentence. Imports nothing at import time. Thread safety: functions without state.
Invariants: a sentence names the subject, the value, the limit and the next step.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UNITS = 10_000  # a quantity of 1 is this many units, as in Ray and in cpp/sched/resources.h
MAX_CORES = 1_000_000  # limit on num_cpus and num_gpus
MAX_QUANTITY = 10**12  # limit on custom resources
MAX_MEMORY = 2**48
MAX_RETURNS = 1_000_000
MAX_NAME = 1024


class OptionTypeError(TypeError, ValueError):
    """A value of the wrong type. Ray raises TypeError here; it is a ValueError as well."""


class UnsupportedOptionError(ValueError, NotImplementedError):
    """An option or a value that Ray has and this version does not carry out yet."""


def _range_error(name: str, value: Any, limit: str, advice: str) -> ValueError:
    return ValueError(f"{name} is {value!r}, but it must be {limit}; {advice}.")


def _type_error(name: str, value: Any, wanted: str, advice: str) -> OptionTypeError:
    kind = type(value).__name__
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return OptionTypeError(f"{name} is {text} ({kind}), but it must be {wanted}; {advice}.")


def to_units(name: str, value: Any, maximum: int = MAX_QUANTITY) -> int:
    """A quantity of a resource in units of 1/10000, after all checks.

    Args:
        name: of the option or resource, for the sentence.
        value: an int or a float (or a number of NumPy), 0 or more.
        maximum: the largest quantity.

    Returns:
        The whole number of units; a quantity above zero never becomes zero.

    Raises:
        OptionTypeError: if it is not a number (a bool is not).
        ValueError: if it is negative, not finite, above `maximum` or finer than 0.0001.
    """
    advice = f"give the quantity that it needs, such as {name}=0.5"
    if type(value) is not int and type(value) is not float:
        value = _number(name, value, advice)
    if value != value:  # NaN
        raise _range_error(name, value, "a number", advice)
    if value < 0:
        raise _range_error(name, value, "0 or more", advice)
    if value > maximum:
        raise _range_error(name, value, f"at most {maximum}", advice)
    units = round(value * UNITS)
    if units == 0 and value != 0:
        raise _range_error(name, value, "0 or at least 0.0001", "round it up")
    return units


def _number(name: str, value: Any, advice: str) -> int | float:
    """A number of NumPy or the like as an int or a float; arrays and texts are none."""
    if not _is_bool(value) and not hasattr(value, "__len__"):
        for convert in ("__index__", "__float__"):
            if hasattr(value, convert):
                return getattr(value, convert)()
    raise _type_error(name, value, "an int or a float", advice)


def _is_bool(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # NumPy's too, without importing it


def _whole(name: str, value: Any, low: int, high: int, advice: str) -> int:
    if type(value) is not int:
        if _is_bool(value) or not hasattr(value, "__index__"):
            raise _type_error(name, value, "an int", advice)
        value = value.__index__()
    if value < low:
        raise _range_error(name, value, f"{low} or more", advice)
    if value > high:
        raise _range_error(name, value, f"at most {high}", advice)
    return value


def check_cpus(name: str, value: Any) -> int:
    """Units of CPU."""
    return to_units(name, value, MAX_CORES)


def check_gpus(name: str, value: Any) -> int:
    """Units of GPU: a part of one, or several whole ones."""
    units = to_units(name, value, MAX_CORES)
    if units > UNITS and units % UNITS:
        limit = "a whole number if it is above 1"
        raise _range_error(name, value, limit, f"use {name}={-(-units // UNITS)}")
    return units


def check_memory(name: str, value: Any) -> int:
    """Units of memory: whole bytes, rounded down as in Ray."""
    return to_units(name, value, MAX_MEMORY) // UNITS * UNITS


def check_resources(name: str, value: Any) -> dict[str, int]:
    """Units of custom resources by name."""
    advice = 'write it as resources={"name": quantity}'
    if not isinstance(value, dict):
        raise _type_error(name, value, "a dict of names and quantities", advice)
    units = {}
    for key, quantity in value.items():
        if not isinstance(key, str):
            raise _type_error(f"a key of {name}", key, "a str", advice)
        if key in ("CPU", "GPU", "memory", "object_store_memory"):
            option = {"CPU": "num_cpus", "GPU": "num_gpus"}.get(key, key)
            raise ValueError(
                f"{name} has the key {key!r}, which has an option of its own; use {option}=..."
            )
        check_text(f"a key of {name}", key)
        if not key:
            raise ValueError(f"a key of {name} is empty; {advice}.")
        units[key] = to_units(f"{name}[{key!r}]", quantity)
    return units


def check_text(name: str, value: Any) -> str:
    """A name that can be printed and sent."""
    advice = "give a short text"
    if not isinstance(value, str):
        raise _type_error(name, value, "a str", advice)
    if len(value) > MAX_NAME:
        shown = value[:20] + "..."
        raise ValueError(
            f"{name} is {shown!r}, {len(value)} characters long, but at most {MAX_NAME} are "
            f"allowed; {advice}."
        )
    if "\0" in value or not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"{name} is {value!r}, but it must not hold NUL or surrogates; {advice}.")
    return value


def check_runtime_env(name: str, value: Any) -> dict[str, Any]:
    from ._runtime_env import check

    return check(value)


def check_name(name: str, value: Any) -> str:
    """The name of an actor or of a namespace: a text that is not empty."""
    if check_text(name, value) == "":
        raise ValueError(f"{name} is '', but it must not be empty; leave it out for none.")
    return value


def check_lifetime(name: str, value: Any) -> str | None:
    """None, "detached" or "non_detached"; the last two as a str or None."""
    if value not in ("detached", "non_detached"):
        raise ValueError(
            f"actor `{name}` is {value!r}, but it must be one of 'detached', 'non_detached' and "
            "None; leave it out for an actor that ends with its handles."
        )
    return value


def check_groups(name: str, value: Any) -> dict[str, int]:
    """Names of concurrency groups and how many calls of each may run at a time."""
    advice = 'write it as concurrency_groups={"io": 2}'
    if not value and isinstance(value, (list, dict)):
        return {}
    if not isinstance(value, dict):
        raise _type_error(name, value, "a dict of names and numbers of calls", advice)
    for group, limit in value.items():
        if not isinstance(group, str) or not group:
            raise _type_error(f"a key of {name}", group, "a str that is not empty", advice)
        _whole(f"{name}[{group!r}]", limit, 1, 1_000_000, advice)
    return dict(value)


def check_returns(name: str, value: Any) -> int | str:
    """A number of return values, or "dynamic" or "streaming"."""
    if isinstance(value, str) and value in ("dynamic", "streaming"):
        return value
    advice = 'give the number of values that the function returns, or "streaming" for a generator'
    return _whole(name, value, 0, MAX_RETURNS, advice)


def check_backpressure(name: str, value: Any) -> int:
    """Items that a generator may be ahead of its consumer: 1 or more, or -1."""
    advice = "1 means that the next item is made when the last was taken, -1 any number"
    value = _whole(name, value, -1, 2**31 - 1, advice)
    if value == 0:
        raise _range_error(name, value, "-1, or 1 or more", advice)
    return value


def counter(low: int, advice: str) -> Callable[[str, Any], int]:
    """The check of a whole number from `low` on."""
    return lambda name, value: _whole(name, value, low, 2**31 - 1, advice)


def check_retry_exceptions(name: str, value: Any) -> bool | tuple:
    """A bool, or a tuple of exception classes."""
    if isinstance(value, bool):
        return value
    advice = "give True, False or a list of exception classes"
    if not isinstance(value, (list, tuple)):
        raise _type_error(name, value, "a bool or a list", advice)
    for item in value:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise _type_error(f"an item of {name}", item, "an exception class", advice)
    return tuple(value)


def check_strategy(name: str, value: Any) -> Any:
    """A scheduling strategy: one of two texts, or an object."""
    advice = "other strategies are objects of ray.util.scheduling_strategies"
    if isinstance(value, str):
        if value not in ("DEFAULT", "SPREAD"):
            raise _range_error(name, value, "'DEFAULT' or 'SPREAD'", advice)
        return value
    from ._place import STRATEGIES

    if not isinstance(value, STRATEGIES):
        raise _type_error(name, value, "'DEFAULT' or 'SPREAD'", advice)
    return value


def check_placement_group(name: str, value: Any) -> Any:
    """A PlacementGroup, or "default"."""
    from ._place import check_group

    return check_group(name, value)


def instance_of(wanted: str, *types: type) -> Callable[[str, Any], Any]:
    """The check that a value is an instance of some type."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, types):
            raise _type_error(name, value, wanted, "see the documentation of ray.remote")
        return value

    return check


def anything(name: str, value: Any) -> Any:
    """No check."""
    return value

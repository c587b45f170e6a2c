"""Every setting of bolide and every BOLIDE_* environment variable, in one table.

It is not the place where settings act, and it keeps no state: a value is read when it is asked for.
The variables marked "core" are read by the C++ core itself and are listed so that `bolide env`
shows them. Thread safety: the table is constant. Invariants: an argument wins over the variable,
the variable over the default; a bad value raises a sentence that names where it came from.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SUFFIXES = {
    "": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "t": 10**12, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "b": 1,
}  # fmt: skip


class Setting:
    """One row of the table.

    Fields: `name`; `variable`; `kind`: "int", "float", "bytes", "choice" or "text"; `default`, None
    if it is worked out at start, as `meaning` says; `low` and `high`, the range of a number;
    `choices`; `meaning`, one line; `ray_variable`, Ray's for the same, which counts where
    `variable` is not set ("": none).
    """

    __slots__ = (
        "choices", "default", "high", "kind", "low", "meaning", "name", "ray_variable", "variable",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: str,
        default: Any,
        meaning: str,
        low: float = 0,
        high: float = 0,
        choices: tuple[str, ...] = (),
        ray_variable: str = "",
    ) -> None:
        self.name = name
        self.variable = f"BOLIDE_{name.upper()}"
        self.kind = kind
        self.default = default
        self.meaning = meaning
        self.low = low
        self.high = high
        self.choices = choices
        self.ray_variable = ray_variable

    def parse(self, value: Any, where: str) -> Any:
        """`value` as this setting's type; `where` is the subject of the sentence if it is bad."""
        if self.kind == "text":
            return str(value)
        if self.kind == "choice":
            if value in self.choices:
                return value
            raise ValueError(
                f"{where} is {value!r}, but it must be {_either(self.choices)}; {self._advice()}."
            )
        number = _number(value, self.kind)
        wanted = {"int": "a whole number", "float": "a number", "bytes": "a number of bytes"}
        example = ", such as 2GiB" if self.kind == "bytes" else ""
        if number is None or not self.low <= number <= self.high:
            raise ValueError(
                f"{where} is {value!r}, but it must be {wanted[self.kind]} from {self.low} to "
                f"{self.high}{example}; {self._advice()}."
            )
        return number

    def _advice(self) -> str:
        usual = "a value that fits this machine" if self.default is None else repr(self.default)
        return f"leave it out for {usual}"


def _number(value: Any, kind: str) -> int | float | None:
    """The number that `value` means, None if it means none."""
    factor = 1
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            value = value.strip()
            if kind == "bytes":
                digits = value.rstrip("bBiIkKmMgGtT ")
                factor = _SUFFIXES[value[len(digits) :].strip().lower()]
                value = digits
            value = float(value) if kind == "float" or factor > 1 else int(value)
        elif kind == "float":
            value = float(value)
        elif isinstance(value, float):
            if not value.is_integer():
                return None
        else:
            value = value.__index__()
        return value * factor if kind == "float" else int(value * factor)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(map(repr, words))


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("num_cpus", "int", None, "CPUs of the node (usable cores)", 0, 1_000_000),
        Setting(
            "object_store_memory", "bytes", None,
            "bytes that objects may take (30 % of the memory of the machine or container)",
            2**20, 2**48,
        ),
        Setting(
            "object_spilling_directory", "text", None,
            "directory for objects that memory has no room for (TMPDIR, else /var/tmp)",
        ),
        Setting(
            "memory_monitor_refresh_ms", "int", 250,
            "milliseconds between looks at the memory of tasks that run; 0: no task is ever ended "
            "for its memory, memory= limits nothing",
            0, 3_600_000, ray_variable="RAY_memory_monitor_refresh_ms",
        ),
        Setting(
            "memory_usage_threshold", "float", 0.95,
            "part of the machine's or container's memory in use, above which a task is ended",
            0.0, 1.0, ray_variable="RAY_memory_usage_threshold",
        ),
        Setting(
            "meminfo", "text", "",
            "file that tells the machine's memory, in the form of /proc/meminfo (the kernel's own)",
        ),
        Setting(
            "spin_us", "int", 50, "microseconds to look for a message before sleeping", 0, 1_000_000
        ),
        Setting(
            "inline_limit_bytes", "bytes", 8192,
            "largest argument or result that travels within a message", 0, 16 * 1024,
        ),
        Setting(
            "start_timeout_s", "float", 60.0, "seconds that a worker may take to start", 0.1, 86400
        ),
        Setting(
            "log_prefix", "choice", "auto",
            "whether lines of workers begin with (name pid=...)", choices=("auto", "never"),
        ),
        Setting(
            "max_blocked_per_core", "int", 4,
            "workers blocked in get, per core, before they run what they wait for", 1, 10_000,
        ),
        Setting(
            "timeline", "choice", "off",
            "whether it is recorded when tasks run, for timeline()", choices=("off", "on"),
        ),
        Setting(
            "record_ref_creation_sites", "choice", "off",
            "whether errors and `bolide memory` say where objects were made", choices=("off", "on"),
        ),
        Setting(
            "post_mortem", "choice", "off",
            "whether a task that fails waits for `bolide debug`", choices=("off", "on"),
        ),
        Setting("fault", "text", "", "core: faults to inject (builds with faults only)"),
        Setting("fault_seed", "text", "", "core: seed of these faults"),
    )
}  # fmt: skip


def get(name: str, argument: Any = None, environ: Mapping[str, str] | None = None) -> Any:
    """The value of a setting.

    Args:
        name: of the setting, a key of SETTINGS.
        argument: what the caller was given for it; None if nothing.
        environ: the environment, os.environ by default.

    Returns:
        `argument`, else the variable, else the default, as the setting's type; None where the
        default is worked out at start. An empty variable counts as not set.

    Raises:
        ValueError: a bad value; the sentence names the argument or the variable and the range.
        KeyError: no such setting.

    Example:
        >>> get("spin_us", environ={"BOLIDE_SPIN_US": "20"})
        20
    """
    setting = SETTINGS[name]
    if argument is not None:
        return setting.parse(argument, name)
    environ = os.environ if environ is None else environ
    for variable in (setting.variable, setting.ray_variable):
        if text := environ.get(variable, ""):
            return setting.parse(text, f"the environment variable {variable}")
    return setting.default


def describe(environ: Mapping[str, str] | None = None) -> str:
    """The text of `bolide env`: every setting, its value, where that comes from and its meaning.

    Never raises: a bad value is shown with its sentence. A variable that is no setting, as after a
    slip of the pen, is listed with the name that it may have meant.
    """
    environ = os.environ if environ is None else environ
    lines = []
    width = max(len(setting.variable) for setting in SETTINGS.values())
    for setting in SETTINGS.values():
        given = environ.get(setting.variable, "") or environ.get(setting.ray_variable, "")
        source = "environment" if given else "default"
        trouble = []
        try:
            value = get(setting.name, environ=environ)
            shown = "auto" if value is None else "-" if value == "" else str(value)
        except ValueError as error:
            shown = "?"
            trouble = [f"{'':<{width}}  {error}"]
        lines.append(f"{setting.variable:<{width}}  {shown:<10}  {source:<11}  {setting.meaning}")
        lines += trouble
    known = {setting.variable for setting in SETTINGS.values()}
    for variable in sorted(environ):
        if variable.startswith("BOLIDE_") and variable not in known:
            import difflib

            near = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            lines.append(f"{variable} is set but is no setting of bolide{hint}")
    return "\n".join(lines)

"""Metrics of a program: counters, gauges and histograms, of all processes together.

A change is sent to the node, which sums up; in a worker nobody waits for it, and it arrives before
the result of the task. `exposition` gives all of them as text that Prometheus reads. Follows Ray's
page "ray.util.metrics". Thread safety: any thread.
"""

from __future__ import annotations

import re
import struct

from .. import _hot
from .._runtime import ensure_started, need_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Counter", "Gauge", "Histogram", "exposition"]

_ADD, _SET = 1, 2  # cpp/node/measures.h
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SEPARATOR = "\x1f"  # between the parts of a measure's name


class Metric:
    """What the kinds have in common: a name, a description, keys of tags and their defaults."""

    _kind = ""

    def __init__(
        self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None
    ) -> None:
        if not isinstance(name, str) or len(name) == 0:
            raise ValueError("Empty name is not allowed. Please provide a metric name.")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"the metric name {name!r} has other characters than letters, digits, _ and :, or "
                "begins with a digit; choose another."
            )
        if not isinstance(description, str):
            raise TypeError(f"description must be str, got {type(description)}.")
        if tag_keys is not None and not isinstance(tag_keys, tuple):
            raise TypeError(f"tag_keys should be a tuple type, got: {type(tag_keys)}")
        for key in tag_keys or ():
            if not isinstance(key, str):
                raise TypeError(f"Tag keys must be str, got {type(key)}.")
        self._name = name
        self._description = description
        self._tag_keys = tag_keys or ()
        self._default_tags: dict[str, str] = {}

    @property
    def info(self) -> dict[str, Any]:
        """Its name, description, keys of tags and default tags."""
        return {
            "name": self._name,
            "description": self._description,
            "tag_keys": self._tag_keys,
            "default_tags": self._default_tags,
        }

    def set_default_tags(self, default_tags: dict[str, str]) -> Metric:
        """Sets the tags that a change has unless it says otherwise.

        Args:
            default_tags: keys of tags and values.

        Returns:
            The metric itself.

        Raises:
            ValueError: a key is none of the metric's.
            TypeError: a value is no str.
        """
        for key, value in default_tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"Unrecognized tag key {key}.")
            if not isinstance(value, str):
                raise TypeError(f"Tag values must be str, got {type(value)}.")
        self._default_tags = dict(default_tags)
        return self

    def _tags(self, tags: dict[str, str] | None) -> str:
        """The tags of a change, as they stand in braces; checked."""
        given = {**self._default_tags, **(tags or {})}
        for value in given.values():
            if not isinstance(value, str):
                raise TypeError(f"Tag values must be str, got {type(value)}.")
        unknown = [key for key in given if key not in self._tag_keys]
        if unknown:
            raise ValueError(f"Unrecognized tag key(s): {','.join(unknown)}.")
        missing = [key for key in self._tag_keys if key not in given]
        if missing:
            raise ValueError(f"Missing value for tag key(s): {','.join(missing)}.")
        return ",".join(f'{key}="{_escaped(given[key])}"' for key in sorted(given))

    def _note(self, *changes: tuple[int, str, str, float]) -> None:
        """Sends changes: whether to add or set, a suffix of the name, tags, by how much."""
        ensure_started()
        packed = []
        for change, suffix, tags, amount in changes:
            parts = self._name, self._kind, self._description, suffix, tags
            key = _SEPARATOR.join(part.replace(_SEPARATOR, " ") for part in parts).encode()
            packed.append(struct.pack("<IId", change, len(key), amount) + key)
        _hot.note_measures(b"".join(packed))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._made_with(), self._default_tags)

    def _made_with(self) -> tuple[Any, ...]:
        return self._name, self._description, self._tag_keys


class Counter(Metric):
    """A number that grows.

    Args:
        name: letters, digits, _ and :.
        description: what it counts.
        tag_keys: names of tags; each change gives a value for each of them.

    Example:
        >>> requests = Counter("requests", "Requests so far.", tag_keys=("route",))
        >>> requests.inc(tags={"route": "/"})

    Follows Ray's page "ray.util.metrics.Counter".
    """

    _kind = "counter"

    def inc(self, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
        """Adds `value`, which is above zero.

        Raises:
            ValueError, TypeError: the value is not above zero, or the tags are not the metric's.
        """
        _check_number(value)
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        self._note((_ADD, "", self._tags(tags), value))


class Gauge(Metric):
    """A number that goes up and down: the value that was set last, in whichever process.

    Arguments as of a Counter. Follows Ray's page "ray.util.metrics.Gauge".
    """

    _kind = "gauge"

    def set(self, value: float | None, tags: dict[str, str] | None = None) -> None:
        """Sets the value; None is left alone.

        Raises:
            ValueError, TypeError: it is no number, or the tags are not the metric's.
        """
        if value is None:
            return
        _check_number(value)
        self._note((_SET, "", self._tags(tags), value))


class Histogram(Metric):
    """How often values were observed, by size.

    Args:
        name, description, tag_keys: as of a Counter.
        boundaries: the upper ends of the buckets, above zero, ascending.

    Follows Ray's page "ray.util.metrics.Histogram".
    """

    _kind = "histogram"

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: list[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, description, tag_keys)
        if not boundaries:
            raise ValueError(
                "boundaries argument should be provided when using the Histogram class. e.g., "
                'Histogram("name", boundaries=[1.0, 2.0])'
            )
        for index, bound in enumerate(boundaries):
            if bound <= 0:
                raise ValueError(
                    f"Invalid `boundaries` argument at index {index}, {bound}. Use positive values."
                )
        if list(boundaries) != sorted(set(boundaries)):
            raise ValueError(f"boundaries is {boundaries}, but it must be ascending; sort it.")
        self.boundaries = list(boundaries)

    @property
    def info(self) -> dict[str, Any]:
        """As of other metrics, and the boundaries."""
        return {**super().info, "boundaries": self.boundaries}

    def observe(self, value: float, tags: dict[str, str] | None = None) -> None:
        """Counts a value.

        Raises:
            ValueError, TypeError: it is no number, or the tags are not the metric's.
        """
        _check_number(value)
        text = self._tags(tags)
        more = f"{text}," if text else ""
        ends = [f"{bound:g}" for bound in self.boundaries if value <= bound]
        above = [f"{bound:g}" for bound in self.boundaries if value > bound]
        self._note(
            *[(_ADD, "_bucket", f'{more}le="{end}"', 1.0) for end in [*ends, "+Inf"]],
            *[(_ADD, "_bucket", f'{more}le="{end}"', 0.0) for end in above],
            (_ADD, "_sum", text, value),
            (_ADD, "_count", text, 1.0),
        )

    def _made_with(self) -> tuple[Any, ...]:
        return self._name, self._description, self.boundaries, self._tag_keys


def exposition() -> str:
    """All metrics of the session in Prometheus' text format; "" if there are none.

    Example:
        >>> print(exposition())
        # HELP requests Requests so far.
        # TYPE requests counter
        requests{route="/"} 1
    """
    need_session()
    answer = _hot.measures()
    found: dict[tuple[str, str, str], list[tuple[str, str, float]]] = {}
    at = 0
    while at < len(answer):
        (length,) = struct.unpack_from("<I", answer, at)
        key = answer[at + 4 : at + 4 + length].decode()
        (value,) = struct.unpack_from("<d", answer, at + 4 + length)
        at += 12 + length
        name, kind, description, suffix, tags = key.split(_SEPARATOR)
        found.setdefault((name, kind, description), []).append((name + suffix, tags, value))
    lines = []
    for (name, kind, description), rows in sorted(found.items()):
        if description:
            text = description.replace("\\", "\\\\").replace("\n", "\\n")
            lines.append(f"# HELP {name} {text}")
        lines.append(f"# TYPE {name} {kind}")
        for row, tags, value in sorted(rows, key=_order):
            number = repr(value).removesuffix(".0")
            lines.append(f"{row}{{{tags}}} {number}" if tags else f"{row} {number}")
    return "".join(f"{line}\n" for line in lines)


def _order(row: tuple[str, str, float]) -> tuple[str, str, float]:
    name, tags, _ = row
    before, _, end = tags.partition('le="')
    return name, before, float(end.rstrip('"')) if end else 0.0


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _check_number(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"value must be int or float, got {type(value)}.")


def _rebuild(kind: type, made_with: tuple[Any, ...], default_tags: dict[str, str]) -> Metric:
    if kind is Histogram:
        name, description, boundaries, tag_keys = made_with
        made: Metric = Histogram(name, description, boundaries, tag_keys)
    else:
        made = kind(*made_with)
    made._default_tags = default_tags
    return made

"""The bundles of a placement group: their checks, and the bytes that the core reads of them.

The bytes are laid out in cpp/node/placement_group.h. Thread safety: functions without state.
"""

from __future__ import annotations

import struct

from ._labels import as_resources, check_selector, is_condition
from ._option_checks import UNITS, check_resources, to_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")  # node::PlacementStrategy


class Spec:
    """What a group was made with: `value` as the core has it, `name`, `strategy`, `bundles`."""

    __slots__ = ("bundles", "name", "strategy", "value")

    def __init__(self, value: bytes) -> None:
        self.value = value
        (length,) = struct.unpack_from("<I", value)
        key = value[4 : 4 + length].decode()
        self.name = key.partition("\0")[2]
        strategy, count = struct.unpack_from("<II", value, 4 + length)
        self.strategy = STRATEGIES[strategy]
        self.bundles: list[dict[str, float]] = []
        at = 12 + length
        for _ in range(count):
            bundle = {}
            (resources,) = struct.unpack_from("<I", value, at)
            at += 4
            for _ in range(resources):
                (size,) = struct.unpack_from("<I", value, at)
                name = value[at + 4 : at + 4 + size].decode()
                (units,) = struct.unpack_from("<q", value, at + 4 + size)
                at += 12 + size
                if not is_condition(name):
                    bundle[name] = units / UNITS
            self.bundles.append(bundle)


def encode(key: bytes, strategy: str, bundles: list[dict[str, int]]) -> bytes:
    """The value of a group's object."""
    parts = [
        struct.pack("<I", len(key)), key,
        struct.pack("<II", STRATEGIES.index(strategy), len(bundles)),
    ]  # fmt: skip
    for bundle in bundles:
        parts.append(struct.pack("<I", len(bundle)))
        for name, units in bundle.items():
            encoded = name.encode()
            parts += struct.pack("<I", len(encoded)), encoded, struct.pack("<q", units)
    return b"".join(parts)


def check_bundles(bundles: Any) -> list[dict[str, int]]:
    """The bundles in units of 1/10000, or a ValueError or TypeError."""
    if not isinstance(bundles, list):
        raise ValueError(
            f"Placement group bundles must be a list, got {type(bundles)}; give for example "
            '[{"CPU": 1}].'
        )
    if not bundles:
        raise ValueError(
            "Bundles must be a non-empty list of resource dictionaries. Got empty list instead."
        )
    return [_check_bundle(f"bundles[{i}]", bundle) for i, bundle in enumerate(bundles)]


def _check_bundle(name: str, bundle: Any) -> dict[str, int]:
    if not isinstance(bundle, dict):
        raise ValueError(
            f"{name} is {bundle!r} ({type(bundle).__name__}), but Bundles must be a non-empty list "
            'of resource dictionaries, such as [{"CPU": 1}].'
        )
    found = {}
    for resource, quantity in bundle.items():
        if not isinstance(resource, str) or not resource:
            raise ValueError(f"{name} has the key {resource!r}, but it takes names of resources.")
        units = to_units(f"{name}[{resource!r}]", quantity)
        if units:
            found[resource] = units
    custom = {key: n / UNITS for key, n in found.items() if key not in ("CPU", "GPU", "memory")}
    check_resources(name, custom)
    if not found:
        raise ValueError(
            "Bundles cannot be an empty dictionary or resources with only 0 values. Bundles: "
            f"{name} is {bundle!r}."
        )
    return found


def check_selectors(selectors: Any, count: int) -> list[dict[str, int]]:
    """For each bundle what stands for the labels that it wants."""
    if not selectors:
        return [{}] * count
    if not isinstance(selectors, list) or len(selectors) != count:
        raise ValueError(
            f"bundle_label_selector is {selectors!r}, but it must be a list with a dict for each "
            f"of the {count} bundles."
        )
    return [
        as_resources(check_selector(f"bundle_label_selector[{i}]", selector))
        for i, selector in enumerate(selectors)
    ]

"""What options say about the place of a task or actor: a placement group, a node, labels.

It turns `scheduling_strategy`, `placement_group` and their like into one Place. With one node,
"DEFAULT" and "SPREAD" mean the same. Thread safety: a Place never changes after it was made.
"""

from __future__ import annotations

from ._labels import as_resources, other_node
from ._option_checks import OptionTypeError
from ._placement import PlacementGroup
from ._strategies import (
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STRATEGIES = (
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)


class Place:
    """Fields: `group`, a PlacementGroup or None; `bundle`, -1 for any; `captures`, whether children
    run there too; `resources`, what stands for conditions on the node."""

    __slots__ = ("bundle", "captures", "group", "resources")

    def __init__(self) -> None:
        self.group: PlacementGroup | None = None
        self.bundle = -1
        self.captures = False
        self.resources: dict[str, int] = {}

    def key(self) -> tuple:
        """What tells it from other places, for the key of a scheduling class."""
        if self.group is None:
            return ()
        return ("in", self.group.id.binary(), self.bundle, self.captures)


def place_of(given: dict[str, Any]) -> Place:
    """The place that checked options name.

    Raises:
        ValueError: they contradict each other, or the group has no such bundle.
    """
    place = Place()
    strategy = given.get("scheduling_strategy")
    group = given.get("placement_group", "default")
    bundle = given.get("placement_group_bundle_index", -1)
    captures = given.get("placement_group_capture_child_tasks")
    if group != "default" and strategy is not None:
        raise ValueError(
            "Placement groups should be specified via the scheduling_strategy option. The "
            "placement_group option is deprecated; leave it out."
        )
    if isinstance(strategy, NodeAffinitySchedulingStrategy):
        if not strategy.soft:
            place.resources = other_node(strategy.node_id)
    elif isinstance(strategy, NodeLabelSchedulingStrategy):
        place.resources = as_resources(strategy.conditions())
    elif isinstance(strategy, PlacementGroupSchedulingStrategy):
        group = strategy.placement_group
        bundle = strategy.placement_group_bundle_index
        captures = strategy.placement_group_capture_child_tasks
    if group == "default" or group is None or group.is_empty:
        if bundle != -1:
            raise ValueError(
                f"placement_group_bundle_index is {bundle}, but there is no placement group. If "
                "placement group is not set, the value of bundle index must be -1."
            )
        return place
    if not isinstance(bundle, int) or not -1 <= bundle < group.bundle_count:
        raise ValueError(
            f"placement group bundle index {bundle} is invalid. Valid placement group indexes: "
            f"0-{group.bundle_count - 1}, or -1 for any."
        )
    place.group, place.bundle, place.captures = group, bundle, bool(captures)
    return place


def check_group(name: str, value: Any) -> Any:
    """The option `placement_group`: a PlacementGroup or "default"."""
    if value != "default" and not isinstance(value, PlacementGroup):
        raise OptionTypeError(
            f"{name} is {value!r}, but it must be a PlacementGroup; make one with "
            "bolide.util.placement_group([{'CPU': 1}])."
        )
    return value


def check_fits(
    place: Place,
    subject: str,
    needs: tuple[tuple[str, int], ...],
    kept: tuple[tuple[str, int], ...] | None = None,
) -> None:
    """Raises ValueError if no bundle of the place can ever hold the needs of `subject`.

    Args:
        place: with a group.
        subject: what is called: "the task 'f'".
        needs: names and units of what it needs to be placed.
        kept: of an actor: what it needs for life.
    """
    group = place.group
    if group is None:
        return
    bundles = group.bundle_specs
    allowed = bundles if place.bundle < 0 else [bundles[place.bundle]]
    which = "any bundles" if place.bundle < 0 else f"the bundle {place.bundle}"
    if kept is not None and _fit(kept, allowed) and not _fit(needs, allowed):
        cpus = dict(needs).get("CPU", 0) / 10_000
        raise ValueError(
            f"Cannot schedule {subject} with the placement group because the actor requires "
            f"{cpus:g} CPU for creation, but it cannot fit into {which} for the placement group, "
            f"{bundles}. Consider creating a placement group with CPU resources."
        )
    if not _fit(needs, allowed):
        request = {name: units / 10_000 for name, units in needs}
        raise ValueError(
            f"Cannot schedule {subject} with the placement group because the resource request "
            f"{request} cannot fit into {which} for the placement group, {bundles}. Ask for less, "
            "or make a group with larger bundles."
        )


def _fit(needs: tuple[tuple[str, int], ...], bundles: list[dict[str, float]]) -> bool:
    return any(
        all(units <= round(bundle.get(name, 0) * 10_000) for name, units in needs)
        for bundle in bundles
    )

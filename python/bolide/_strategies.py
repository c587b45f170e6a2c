"""Scheduling strategies: where a task or an actor is to run, as objects.

They are values of the option `scheduling_strategy`; `bolide._place` works out what one means on a
single node. Follows Ray's page "Scheduling". Thread safety: they do not change once they are made.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._placement import PlacementGroup


class PlacementGroupSchedulingStrategy:
    """Run in a placement group.

    Args:
        placement_group: the group; None: in none, although the task that calls captures.
        placement_group_bundle_index: in which bundle, from 0; -1: in any that has room.
        placement_group_capture_child_tasks: whether tasks and actors that are started from there,
            and do not say where, run in the group too.

    Example:
        >>> group = placement_group([{"CPU": 1}])
        >>> f.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote()

    Follows Ray's page "ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy".
    """

    def __init__(
        self,
        placement_group: PlacementGroup | None,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        self.placement_group = placement_group
        self.placement_group_bundle_index = placement_group_bundle_index
        self.placement_group_capture_child_tasks = placement_group_capture_child_tasks


class NodeAffinitySchedulingStrategy:
    """Run on one node.

    Args:
        node_id: as `nodes()` or `get_runtime_context().get_node_id()` tells it: a str, or a NodeID.
        soft: False: there or not at all; True: elsewhere if it is not there.

    A task that cannot run fails with TaskUnschedulableError, an actor with ActorUnschedulableError.
    Follows Ray's page "ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy".
    """

    def __init__(
        self,
        node_id: Any,
        soft: bool,
        _spill_on_unavailable: bool = False,
        _fail_on_unavailable: bool = False,
    ) -> None:
        self.node_id: str = node_id if isinstance(node_id, str) else node_id.hex()
        self.soft = soft
        self._spill_on_unavailable = _spill_on_unavailable
        self._fail_on_unavailable = _fail_on_unavailable


class In:
    """The node's label is one of these values. Follows Ray's page "NodeLabelSchedulingStrategy"."""

    def __init__(self, *values: str) -> None:
        self.values = _checked("In", values)

    def condition(self) -> str:
        return f"in({', '.join(self.values)})"


class NotIn:
    """The node's label is none of these values, or the node has no such label."""

    def __init__(self, *values: str) -> None:
        self.values = _checked("NotIn", values)

    def condition(self) -> str:
        return f"!in({', '.join(self.values)})"


class Exists:
    """The node has the label."""

    def condition(self) -> str:
        return "exists()"


class DoesNotExist:
    """The node has no such label."""

    def condition(self) -> str:
        return "!exists()"


class NodeLabelSchedulingStrategy:
    """Run on a node with certain labels.

    Args:
        hard: keys of labels, and for each `In`, `NotIn`, `Exists` or `DoesNotExist`: what must be.
        soft: the same: what is preferred. With one node it makes no difference.

    Raises:
        ValueError: neither is given, or one is no such dict.

    Example:
        >>> NodeLabelSchedulingStrategy({"zone": In("a", "b")})

    Follows Ray's page "ray.util.scheduling_strategies.NodeLabelSchedulingStrategy".
    """

    def __init__(self, hard: dict[str, Any] | None, *, soft: dict[str, Any] | None = None) -> None:
        self.hard = _expressions("hard", hard)
        self.soft = _expressions("soft", soft)
        if not self.hard and not self.soft:
            raise ValueError(
                "The `hard` and `soft` parameter of NodeLabelSchedulingStrategy cannot both be "
                'empty; give for example hard={"zone": In("a")}.'
            )

    def conditions(self) -> dict[str, str]:
        """What must hold, as `bolide._labels` writes it."""
        return {key: operator.condition() for key, operator in self.hard.items()}


def _checked(operator: str, values: tuple[str, ...]) -> list[str]:
    if not values:
        raise ValueError(
            f"The variadic parameter of the {operator} operator must be a non-empty tuple: e.g. "
            f'{operator}("value1", "value2").'
        )
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(
                f"Type of value in position {index} for the {operator} operator must be str (e.g. "
                f'{operator}("value1", "value2")) but got {value} of type {type(value)}.'
            )
    return list(values)


def _expressions(name: str, given: Any) -> dict[str, Any]:
    example = '(e.g. {"key1": In("value1")})'
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"The {name} parameter must be a map {example} but got {type(given)}.")
    for key, operator in given.items():
        if not isinstance(key, str):
            raise ValueError(
                f"The map key of the {name} parameter must be of type str {example} but got {key} "
                f"of type {type(key)}."
            )
        if not isinstance(operator, (In, NotIn, Exists, DoesNotExist)):
            raise ValueError(
                f"The map value for key {key} of the {name} parameter must be one of the `In`, "
                f"`NotIn`, `Exists` or `DoesNotExist` operator {example} but got {operator} of "
                f"type {type(operator)}."
            )
    return dict(given)

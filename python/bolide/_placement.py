"""Placement groups: bundles of resources that are reserved together, for tasks and actors.

A group is an object of the core as an actor is; its handle holds a reference to it.
Follows Ray's page "Placement Groups".

Thread safety: any thread.
"""

from __future__ import annotations

from . import _hot, _job
from ._bundles import STRATEGIES, Spec, check_bundles, check_selectors, encode
from ._ids import PlacementGroupID
from ._labels import without_those_that_fit
from ._option_checks import check_text
from ._runtime import ensure_started, need_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._hot import ObjectRef

# sched::GroupState: waiting, impossible, placed, removed
_STATES = ("PENDING", "PENDING", "CREATED", "REMOVED")
_IMPOSSIBLE = 1
_CREATED = "CREATED"


class PlacementGroup:
    """A handle to a placement group. It may be pickled; dropping it does not remove the group.

    Follows Ray's page "ray.util.placement_group.PlacementGroup".
    """

    __slots__ = ("_ref", "_spec", "id")

    def __init__(self, ref: ObjectRef | None, spec: Spec | None) -> None:
        self._ref = ref
        self._spec = spec
        self.id = (
            PlacementGroupID.nil()
            if ref is None
            else PlacementGroupID.of(need_session().id, ref._id)
        )

    @staticmethod
    def empty() -> PlacementGroup:
        """The handle to no group."""
        return PlacementGroup(None, None)

    @property
    def is_empty(self) -> bool:
        """Whether it is the handle to no group."""
        return self._ref is None

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """The resources of each bundle."""
        return [] if self._spec is None else [dict(bundle) for bundle in self._spec.bundles]

    @property
    def bundle_count(self) -> int:
        """How many bundles there are."""
        return 0 if self._spec is None else len(self._spec.bundles)

    def ready(self) -> ObjectRef:
        """A reference that is ready when all bundles are reserved; its value is this handle.

        A group that can never be placed is named in a warning, and the reference stays pending;
        that of a removed group is a TaskPlacementGroupRemoved.

        Example:
            >>> bolide.get(placement_group([{"CPU": 1}]).ready())
        """
        return _reservation(self).remote(self)

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Waits until all bundles are reserved.

        Args:
            timeout_seconds: how long at most.

        Returns:
            Whether they are. False at once if the group was removed or can never be placed.
        """
        if _state_of(self) in (_IMPOSSIBLE, None):
            return False
        ref = self.ready()
        ready, _ = _hot.wait([ref], num_returns=1, timeout=timeout_seconds)
        return bool(ready) and _state_of(self) == _STATES.index(_CREATED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroup) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"PlacementGroup({self.id.hex()}, {self.bundle_specs})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._ref, None if self._spec is None else self._spec.value)


def _rebuild(ref: ObjectRef | None, value: bytes | None) -> PlacementGroup:
    return PlacementGroup(ref, None if value is None else Spec(value))


def bundle_reservation_check_func(placement_group: PlacementGroup) -> PlacementGroup:
    """The task behind `ready()`: it runs when its group has been placed."""
    return placement_group


def _reservation(group: PlacementGroup) -> Any:
    from ._remote import remote

    checked = remote(num_cpus=0, max_retries=-1)(bundle_reservation_check_func)
    return checked.options(placement_group=group)


def placement_group(
    bundles: list[dict[str, float]],
    strategy: str = "PACK",
    name: str = "",
    lifetime: str | None = None,
    _max_cpu_fraction_per_node: float | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: list[dict[str, str]] | None = None,
) -> PlacementGroup:
    """Reserves resources in bundles, all of them or none; returns at once.

    Args:
        bundles: for each the resources that it has, e.g. ``[{"CPU": 2}, {"CPU": 1, "GPU": 1}]``.
        strategy: "PACK", "SPREAD", "STRICT_PACK" or "STRICT_SPREAD". There is one node, so the
            first three mean the same, and the last is possible for a single bundle only.
        name: by which `get_placement_group` finds it in this namespace; "": it has none.
        lifetime: None or "detached"; both live until they are removed or the runtime stops.
        _max_cpu_fraction_per_node, _soft_target_node_id: hints of Ray's for several nodes.
        bundle_label_selector: for each bundle the labels that its node must have.

    Returns:
        A PlacementGroup. Its `ready()` and `wait()` tell when the resources are there.

    Raises:
        ValueError, TypeError: an argument is wrong, or the name is taken.

    Example:
        >>> group = placement_group([{"CPU": 1}, {"CPU": 1}])
        >>> group.wait()
        True

    Follows Ray's page "ray.util.placement_group".
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"Invalid strategy type {strategy}. Supported types are: {list(STRATEGIES)}."
        )
    if lifetime not in (None, "detached"):
        raise ValueError(
            f"placement group `lifetime` argument must be either `None` or 'detached', not "
            f"{lifetime!r}."
        )
    units = check_bundles(bundles)
    for bundle, selector in zip(units, check_selectors(bundle_label_selector, len(bundles))):
        bundle.update(selector)
    check_text("name", name)
    ensure_started()
    key = b""
    if name:
        key = _key(name)
        if _hot.find_group(key) is not None:
            raise ValueError(
                f"Failed to create placement group '{name}' because name '{name}' already exists; "
                "choose another, or take that group with get_placement_group."
            )
    fitted = [dict(without_those_that_fit(tuple(each.items()), _job.current)) for each in units]
    value = encode(key, strategy, fitted)
    return PlacementGroup(_hot.put_group(value), Spec(value))


def _key(name: str) -> bytes:
    from ._actor_class import name_key

    return name_key(name, None)


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Ends a group: what waits or runs in it fails, and its resources go back.

    Tasks fail with TaskPlacementGroupRemoved, the calls of its actors with
    ActorPlacementGroupRemoved. The resources are free when the processes have ended.

    Args:
        placement_group: the group. One that was removed before is left as it is.

    Raises:
        ValueError: it is no PlacementGroup.

    Follows Ray's page "ray.util.remove_placement_group".
    """
    _hot.remove_group(_need(placement_group))


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """What there is to know about a group, or about all of them.

    Args:
        placement_group: the group; None: all, those included that were removed and have handles.

    Returns:
        A dict with "placement_group_id", "name", "bundles" (index to resources),
        "bundles_to_node_id", "strategy", "state" ("PENDING", "CREATED", "REMOVED") and "stats";
        for all groups a dict of these by id.

    Example:
        >>> placement_group_table(group)["state"]
        'CREATED'

    Follows Ray's page "ray.util.placement_group_table".
    """
    if placement_group is not None:
        number = _need(placement_group)._id
        return next((row for found, row in _rows() if found == number), {})
    return {row["placement_group_id"]: row for _, row in _rows()}


def _rows() -> Iterator[tuple[int, dict[str, Any]]]:
    from ._ids import NodeID

    session = need_session()
    node = NodeID.of(session.id).hex()
    for number, state, value in _hot.groups():
        spec = Spec(value)
        text = "INFEASIBLE" if state == _IMPOSSIBLE else "QUEUED" if state == 0 else "FINISHED"
        yield (
            number,
            {
                "placement_group_id": PlacementGroupID.of(session.id, number).hex(),
                "name": spec.name,
                "bundles": dict(enumerate(spec.bundles)),
                "bundles_to_node_id": dict.fromkeys(
                    range(len(spec.bundles)), node if _STATES[state] == _CREATED else ""
                ),
                "strategy": spec.strategy,
                "state": _STATES[state],
                "stats": {
                    "end_to_end_creation_latency_ms": 0.0,
                    "scheduling_latency_ms": 0.0,
                    "scheduling_attempt": 1,
                    "highest_retry_delay_ms": 0.0,
                    "scheduling_state": text,
                },
            },
        )


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """The living group of that name in this namespace.

    Args:
        placement_group_name: as given with `name`.

    Returns:
        A PlacementGroup.

    Raises:
        ValueError: there is none.

    Follows Ray's page "ray.util.get_placement_group".
    """
    if not placement_group_name:
        raise ValueError("Please supply a non-empty value to get_placement_group, not ''.")
    check_text("placement_group_name", placement_group_name)
    ensure_started()
    found = _hot.find_group(_key(placement_group_name))
    if found is None:
        raise ValueError(
            f"Failed to look up placement group with name: {placement_group_name}. It was not "
            "made with that name in this namespace, or it was removed."
        )
    return _rebuild(*found)


def get_current_placement_group() -> PlacementGroup | None:
    """The group in which this task or actor runs; None if it runs in none, and in the driver.

    Follows Ray's page "ray.util.get_current_placement_group".
    """
    need_session()
    found = _hot.own_group()
    return None if found is None else _rebuild(*found)


def _need(group: Any) -> ObjectRef:
    if not isinstance(group, PlacementGroup) or group._ref is None:
        raise ValueError(
            f"placement_group is {group!r}, but it must be a PlacementGroup, as placement_group() "
            "returns it."
        )
    return group._ref


def _state_of(group: PlacementGroup) -> int | None:
    number = _need(group)._id
    state = next((state for found, state, _ in _hot.groups() if found == number), None)
    return None if state is not None and _STATES[state] == "REMOVED" else state


# ---- what a task that captures starts

# The group of the tasks that capture here now, and by the id of what they call (that, the same in
# the group). Emptied when they have ended, so that a worker holds no group for longer.
_own: list[PlacementGroup | None] = []
_in_group: dict[int, tuple[Any, Any]] = {}


def forget_captured() -> None:
    """No task that captures runs here any more."""
    _own.clear()
    _in_group.clear()


def captured(called: Any, options: Any) -> Any:
    """The function or class that a capturing task calls, in that task's group.

    `called` itself if its options say where it runs. `options` are its checked ones.
    """
    given = options.given
    if "scheduling_strategy" in given or "placement_group" in given:
        return called
    if not _own:
        _own.append(get_current_placement_group())
    group = _own[0]
    if group is None:
        return called
    known = _in_group.get(id(called))
    if known is None:
        made = called.options(placement_group=group, placement_group_capture_child_tasks=True)
        known = _in_group[id(called)] = called, made
        if len(_in_group) > 1024:  # an actor that captures makes functions for ever
            _in_group.pop(next(iter(_in_group)), None)
    return known[1]

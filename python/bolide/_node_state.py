"""What a program can ask about the node: resources in all and free, the node itself, a timeline.

In a worker the same functions ask the node of its driver. Thread safety: any thread.
"""

from __future__ import annotations

import os
import time

from . import _core, _hot, _job
from ._runtime import need_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SINCE_1970 = time.time_ns() - time.monotonic_ns()  # once, so that events keep their times


def cluster_resources() -> dict[str, float]:
    """All resources of the node, by name. Follows Ray's page "ray.cluster_resources"."""
    need_session()
    return {name: total for name, total, _ in _hot.resources()}


def available_resources() -> dict[str, float]:
    """The resources that no task holds now, by name; those used up are left out, as in Ray."""
    need_session()
    return {name: free for name, _, free in _hot.resources() if free > 0}


def nodes() -> list[dict[str, Any]]:
    """One entry: this machine. Follows Ray's page "ray.nodes"."""
    from ._ids import NodeID

    session = need_session()
    address = _job.NODE_ADDRESS
    return [
        {
            "NodeID": NodeID.of(session.id).hex(),
            "Alive": True,
            "NodeManagerAddress": address,
            "NodeManagerHostname": os.uname().nodename,
            "NodeManagerPort": 0,
            "ObjectManagerPort": 0,
            "ObjectStoreSocketName": "",
            "RayletSocketName": "",
            "MetricsExportPort": 0,
            "NodeName": address,
            "RuntimeEnvAgentPort": 0,
            "DeathReason": 0,
            "DeathReasonMessage": "",
            "alive": True,
            "Resources": cluster_resources(),
            "Labels": _job.current.node_labels(),
        }
    ]


def timeline(filename: str | None = None) -> list[dict[str, Any]] | None:
    """When which worker ran which task, for the viewers chrome://tracing and Perfetto.

    It is recorded where the environment variable BOLIDE_TIMELINE is "on" when the runtime starts;
    a million tasks are kept, the newest.

    Args:
        filename: the file to write, as JSON; None to get the events.

    Returns:
        Complete events ("ph": "X") in the order in which tasks ended; times in microseconds since
        1970. None if a file was written.

    Raises:
        RuntimeError: the runtime does not run, or this is a worker.

    Example:
        >>> timeline("timeline.json")

    Follows Ray's page "ray.timeline".
    """
    from . import _config, _runtime

    if _config.get("timeline") != "on":
        import warnings

        warnings.warn(
            "timeline() has nothing to tell: set the environment variable BOLIDE_TIMELINE=on "
            "before the runtime starts",
            RuntimeWarning,
            stacklevel=2,
        )
    events = [
        {
            "cat": "task",
            "name": name.decode("utf-8", "replace"),
            "ph": "X",
            "pid": _job.NODE_ADDRESS,
            "tid": f"worker:{pid}",
            "ts": (began + _SINCE_1970) / 1000,
            "dur": (ended - began) / 1000,
            "args": {"task_id": _hot.task_id_bytes(task).hex()},
        }
        for task, began, ended, pid, name in _runtime.trace_events()
    ]
    if filename is None:
        return events
    import json

    with open(filename, "w", encoding="utf-8") as file:
        json.dump(events, file)
    return None


def totals(
    num_cpus: float | None,
    gpus: float,
    resources: dict[str, float] | None,
    object_store_memory: int,
) -> tuple[float, list[tuple[str, float]]]:
    """What init gives the node: its CPUs, and its other resources by name."""
    from . import _config

    cpus = quantity("num_cpus", num_cpus)
    if cpus is None:
        cpus = _config.get("num_cpus")
    if cpus is None:
        cpus = float(_core.usable_cores())
    found = [
        ("GPU", gpus),
        ("memory", float(_core.total_memory())),
        ("object_store_memory", float(object_store_memory)),
        (f"node:{_job.NODE_ADDRESS}", 1.0),
        ("node:__internal_head__", 1.0),
    ]
    if _job.current.accelerator is not None:
        found.append((f"accelerator_type:{_job.current.accelerator}", 1.0))
    for name, value in dict(resources or {}).items():
        if not isinstance(name, str) or not name or name in ("CPU", "GPU", "memory"):
            raise ValueError(
                f"resources has the name {name!r}, but it takes names of custom resources; use "
                "num_cpus, num_gpus and object_store_memory for the others"
            )
        found.append((name, quantity(f"resources[{name!r}]", value) or 0.0))
    return float(cpus), [(name, amount) for name, amount in found if amount]


def quantity(name: str, value: Any) -> float | None:
    """A number from the user, checked."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value <= 1e9:
        raise ValueError(f"{name} is {value!r}, but it must be from 0 to 1e9")
    return float(value)

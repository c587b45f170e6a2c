"""What there is now: actors, tasks, objects, workers, nodes, jobs, placement groups; with filters.

The node is asked when one of these is called; it keeps no history, so tasks that have ended are not
listed, and actors only while they have handles. Follows Ray's page "State API". Thread safety: any
thread.
"""

from __future__ import annotations

from collections import Counter

from . import _state_rows as rows_of
from ._state_rows import LARGEST, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Filters = list[tuple[str, str, Any]] | None

__all__ = [
    "get_actor",
    "get_job",
    "get_node",
    "get_objects",
    "get_placement_group",
    "get_task",
    "get_worker",
    "list_actors",
    "list_jobs",
    "list_nodes",
    "list_objects",
    "list_placement_groups",
    "list_runtime_envs",
    "list_tasks",
    "list_workers",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
]


def _listed(
    rows: Callable[[], Iterator[State]], filters: Filters, limit: int, most: int | None = 0
) -> list[State]:
    """Rows that meet the filters: `limit` of them, or as many as `most` says (None: all)."""
    if not isinstance(limit, int) or not 0 < limit <= LARGEST:
        raise ValueError(f"limit is {limit!r}, but it must be from 1 to {LARGEST}.")
    conditions = [_condition(each) for each in filters or []]
    found = []
    for row in rows():
        if most is not None and len(found) == limit:
            break
        if all(condition(row) for condition in conditions):
            found.append(row)
    return found


def _condition(given: Any) -> Callable[[State], bool]:
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise ValueError(
            f"a filter is {given!r}, but it must be (key, predicate, value), such as "
            '("state", "=", "ALIVE").'
        )
    key, predicate, value = given
    if predicate not in ("=", "!="):
        raise ValueError(f"Unsupported filter predicate {predicate!r}; use '=' or '!='.")
    wanted = str(value).lower()

    def holds(row: State) -> bool:
        if key not in row:
            raise ValueError(f"Invalid filter key {key!r}. Valid keys: {sorted(row)}.")
        return (str(row[key]).lower() == wanted) is (predicate == "=")

    return holds


def list_actors(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The actors that have handles or a process.

    Args:
        address, timeout, detail, raise_on_missing_output: have no meaning here.
        filters: (key, "=" or "!=", value), all of which must hold.
        limit: how many at most, up to 10,000.

    Returns:
        Rows with actor_id, class_name, state ("PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD"),
        job_id, name, node_id, pid, ray_namespace, is_detached, num_restarts, death_cause.

    Raises:
        ValueError: a filter or the limit is wrong.

    Example:
        >>> list_actors(filters=[("state", "=", "ALIVE")])

    Follows Ray's page "ray.util.state.list_actors".
    """
    return _listed(rows_of.actors, filters, limit)


def list_tasks(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The tasks that have not ended. Arguments and errors as of `list_actors`.

    Returns:
        Rows with task_id, attempt_number, name, state ("PENDING_ARGS_AVAIL",
        "PENDING_NODE_ASSIGNMENT", "SUBMITTED_TO_WORKER", "RUNNING"), job_id, actor_id, type,
        func_or_class_name, parent_task_id, node_id, worker_id, worker_pid.
    """
    return _listed(rows_of.tasks, filters, limit)


def list_objects(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The holders of the largest objects, for the driver. Arguments and errors as of `list_actors`.

    Returns:
        A row for each holder of an object: `object_id` (hexadecimal), `object_size` (bytes),
        `where` ("memory", "disk", "table", "pending"), `reference_type` ("LOCAL_REFERENCE",
        "PINNED_IN_MEMORY" for views, "USED_BY_PENDING_TASK", "RESULT_OF_PENDING_TASK",
        "CAPTURED_IN_OBJECT", "ACTOR_HANDLE"), `pid`, `type` ("DRIVER", "WORKER" or the actor's
        class), `name` of the task or id of the object that holds it, `call_site` (if
        BOLIDE_RECORD_REF_CREATION_SITES=on, else ""), `task_status`. The limit is of objects; with
        filters it is of rows.

    Raises:
        RuntimeError: the runtime does not run, or this is a worker.

    Example:
        >>> list_objects(limit=1)[0]["object_size"]

    Follows Ray's page "ray.util.state.list_objects".
    """
    if filters:
        return _listed(rows_of.objects, filters, limit)
    return _listed(lambda: rows_of.objects(limit), None, limit, most=None)


def list_workers(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The driver and the workers. Arguments and errors as of `list_actors`.

    Returns:
        Rows with worker_id, is_alive, worker_type, node_id, ip, pid.
    """
    return _listed(rows_of.workers, filters, limit)


def list_nodes(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The node, which is one. Arguments and errors as of `list_actors`.

    Returns:
        Rows with node_id, node_ip, is_head_node, state, node_name, resources_total, labels.
    """
    return _listed(rows_of.nodes, filters, limit)


def list_jobs(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The job, which is one. Arguments and errors as of `list_actors`.

    Returns:
        Rows with job_id, status, type, entrypoint, driver_pid, namespace.
    """
    return _listed(rows_of.jobs, filters, limit)


def list_placement_groups(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The placement groups. Arguments and errors as of `list_actors`.

    Returns:
        Rows with placement_group_id, name, creator_job_id, state, bundles, stats.
    """
    return _listed(rows_of.placement_groups, filters, limit)


def get_actor(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_actors` with this actor_id, or None."""
    return next((row for row in rows_of.actors() if row["actor_id"] == id), None)


def get_task(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_tasks` with this task_id, or None."""
    return next((row for row in rows_of.tasks() if row["task_id"] == id), None)


def get_worker(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_workers` with this worker_id, or None."""
    return next((row for row in rows_of.workers() if row["worker_id"] == id), None)


def get_node(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_nodes` with this node_id, or None."""
    return next((row for row in rows_of.nodes() if row["node_id"] == id), None)


def get_job(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_jobs` with this job_id, or None."""
    return next((row for row in rows_of.jobs() if row["job_id"] == id), None)


def get_placement_group(id: str, address: str | None = None, timeout: int = 30) -> State | None:
    """The row of `list_placement_groups` with this placement_group_id, or None."""
    return next(
        (row for row in rows_of.placement_groups() if row["placement_group_id"] == id), None
    )


def get_objects(id: str, address: str | None = None, timeout: int = 30) -> list[State]:
    """The rows of `list_objects` with this object_id: one for each holder."""
    return [row for row in rows_of.objects() if row["object_id"] == id]


def list_runtime_envs(
    address: str | None = None,
    filters: Filters = None,
    limit: int = 100,
    timeout: int = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[State]:
    """The runtime environment of the job. Arguments and errors as of `list_actors`.

    Returns:
        A row with runtime_env and success.
    """
    return _listed(rows_of.runtime_envs, filters, limit)


def summarize_tasks(
    address: str | None = None, timeout: int = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many tasks of each function are in each state.

    Follows Ray's page "ray.util.state.summarize_tasks".
    """
    summary: dict[str, Any] = {}
    kinds: Counter[str] = Counter()
    for row in rows_of.tasks():
        kinds[row["type"]] += 1
        entry = summary.setdefault(
            row["name"],
            {"func_or_class_name": row["name"], "type": row["type"], "state_counts": Counter()},
        )
        entry["state_counts"][row["state"]] += 1
    return {
        "cluster": {
            "summary": _plain(summary),
            "total_tasks": kinds["NORMAL_TASK"],
            "total_actor_tasks": kinds["ACTOR_TASK"],
            "total_actor_scheduled": kinds["ACTOR_CREATION_TASK"],
            "summary_by": "func_name",
        }
    }


def summarize_actors(
    address: str | None = None, timeout: int = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many actors of each class are in each state.

    Follows Ray's page "ray.util.state.summarize_actors".
    """
    summary: dict[str, Any] = {}
    total = 0
    for row in rows_of.actors():
        total += 1
        name = row["class_name"]
        entry = summary.setdefault(name, {"class_name": name, "state_counts": Counter()})
        entry["state_counts"][row["state"]] += 1
    return {"cluster": {"summary": _plain(summary), "total_actors": total, "summary_by": "class"}}


def summarize_objects(
    address: str | None = None, timeout: int = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many objects there are, how large they are, and where, in one entry.

    Follows Ray's page "ray.util.state.summarize_objects".
    """
    holders = list(rows_of.objects())
    rows = list({row["object_id"]: row for row in holders}.values())
    size = sum(row["object_size"] for row in rows) / 2**20
    entry = {
        "total_objects": len(rows),
        "total_size_mb": size,
        "total_num_workers": len({row["pid"] for row in holders}),
        "total_num_nodes": 1,
        "task_state_counts": dict(Counter(row["task_status"] for row in rows)),
        "ref_type_counts": dict(Counter(row["reference_type"] for row in holders)),
    }
    return {
        "cluster": {
            "summary": {"disabled": entry},
            "total_objects": len(rows),
            "total_size_mb": size,
            "callsite_enabled": False,
            "summary_by": "callsite",
        }
    }


def _plain(summary: dict[str, Any]) -> dict[str, Any]:
    for entry in summary.values():
        entry["state_counts"] = dict(entry["state_counts"])
    return summary

"""What is alive in the runtime, as data. Follows Ray's page "State API"."""

from __future__ import annotations

from .._memory_report import rows as _rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["list_objects"]


def list_objects(*, limit: int = 100) -> list[dict[str, Any]]:
    """The holders of the largest objects, for the driver.

    Args:
        limit: how many objects.

    Returns:
        A dict for each holder of an object: `object_id` (hexadecimal), `object_size` (bytes),
        `where` ("memory", "disk", "table", "pending"), `reference_type` ("LOCAL_REFERENCE",
        "PINNED_IN_MEMORY" for views, "USED_BY_PENDING_TASK", "RESULT_OF_PENDING_TASK",
        "CAPTURED_IN_OBJECT", "ACTOR_HANDLE"), `pid`, `type` ("DRIVER", "WORKER" or the actor's
        class), `name` of the task or id of the object that holds it, `call_site` (if
        BOLIDE_RECORD_REF_CREATION_SITES=on, else ""), `task_status`.

    Raises:
        RuntimeError: the runtime does not run, or this is a worker.

    Example:
        >>> list_objects(limit=1)[0]["object_size"]

    Follows Ray's page "ray.util.state.list_objects".
    """
    from .._memory_report import report

    return _rows(report(limit))

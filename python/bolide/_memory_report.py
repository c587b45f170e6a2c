"""What is alive in the object store and why: rows from a node's report, and the text of them.

It is not how a report is got: `bolide._inquiry` asks another process, `report` this one. The names
of columns and kinds of references are Ray's, where it has them. Thread safety: no state.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_OBJECTS = 10_000  # told of, the largest ones
UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}

_REFERENCE_TYPES = {
    "reference": "LOCAL_REFERENCE",
    "view": "PINNED_IN_MEMORY",
    "argument": "USED_BY_PENDING_TASK",
    "result": "RESULT_OF_PENDING_TASK",
    "contained": "CAPTURED_IN_OBJECT",
}


def report(limit: int = MOST_OBJECTS) -> dict[str, Any]:
    """The report of the node in this process."""
    import json

    from . import _runtime

    node = _runtime._node
    if node is None:
        _runtime.need_session()
        raise RuntimeError(
            "a worker cannot list the objects; ask in the driver, or with the command bolide memory"
        )
    return json.loads(node.memory_report(limit).decode("utf-8", "replace"))


def rows(told: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each holder of an object, the largest objects first; exported functions left out.

    Keys: `object_id`, `object_size` in bytes, `where` ("memory", "disk", "table" for small values,
    "pending"), `reference_type`, `pid`, `type` ("DRIVER", "WORKER" or the actor's class), `name` of
    the task or id of the object that holds it, `call_site` ("" if not recorded), `task_status`.
    """
    session = int(told["session"])
    found = []
    for each in told["largest"]:
        if each["kind"] == "function":
            continue
        # One that nobody is named for is held by something that has just gone.
        for holder in each["holders"] or [{"why": "", "pid": told["pid"], "name": ""}]:
            why, name = holder["why"], holder["name"]
            kind = _REFERENCE_TYPES.get(why, "UNKNOWN_STATUS")
            if each["kind"] == "actor" and why in ("reference", "view"):
                kind = "ACTOR_HANDLE"
            by_process = why in ("reference", "view")
            process = "DRIVER" if holder["pid"] == told["pid"] else "WORKER"
            if by_process and name not in ("driver", "worker"):
                process = name
            if why == "contained":
                name = object_hex(session, int(name))
            found.append(
                {
                    "object_id": object_hex(session, each["id"]),
                    "object_size": each["size"],
                    "where": each["where"],
                    "reference_type": kind,
                    "pid": holder["pid"],
                    "type": process,
                    "name": "" if by_process else name,
                    "call_site": each["site"],
                    "task_status": "PENDING" if each["where"] == "pending" else "FINISHED",
                }
            )
    return found


def object_hex(session: int, number: int) -> str:
    """The id of an object as `ObjectRef.hex()` gives it."""
    return f"{session:016x}{number:024x}" + "01000000" * 2


def text(told: dict[str, Any], units: str = "B", stats_only: bool = False) -> str:
    """The report as `bolide memory` prints it."""
    listed = [] if stats_only else rows(told)
    store, scale = told["store"], UNITS[units]

    def amount(size: int) -> str:
        return f"{size} B" if scale == 1 else f"{size / scale:.2f} {units}"

    lines = []
    if not stats_only:
        table = [
            ("PID", "TYPE", "REFERENCE TYPE", "SIZE", "WHERE", "OBJECT REF", "HELD BY, MADE BY")
        ]
        for row in listed:
            more = [row["name"]] if row["name"] else []
            more += [row["call_site"]] if row["call_site"] else []
            table.append(
                (
                    str(row["pid"]),
                    row["type"],
                    row["reference_type"],
                    amount(row["object_size"]),
                    row["where"],
                    row["object_id"],
                    ", ".join(more) or "-",
                )
            )
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]) - 1)] + [0]
        lines += ["  ".join(f"{v:<{w}}" for v, w in zip(line, widths)) for line in table]
        if not any(row["call_site"] for row in listed) and listed:
            lines.append(
                "Where they were made is recorded if the program starts with "
                "BOLIDE_RECORD_REF_CREATION_SITES=on in its environment."
            )
        if told["objects"] > len(told["largest"]):
            lines.append(f"The {len(told['largest'])} largest of {told['objects']} objects.")
        lines.append("")
    lines.append(
        f"{told['objects']} objects of the program with pid {told['pid']}, exported functions "
        f"included. The object store has {amount(store['live'])} of them in memory, of "
        f"{amount(store['budget'])} that it may use, and {amount(store['spilled'])} on the disk."
    )
    return "\n".join(lines)


def memory_summary(
    address: str | None = None,
    *,
    units: str = "B",
    stats_only: bool = False,
    num_entries: int | None = None,
) -> str:
    """The objects that are alive in this program, their sizes, holders and places, as text.

    Args:
        address: None; there is one node.
        units: "B", "KB", "MB" or "GB".
        stats_only: without the list.
        num_entries: how many objects, the largest ones; None for 10,000.

    Returns:
        Lines of a table and a summary, as the command `bolide memory` prints them.

    Raises:
        RuntimeError: the runtime does not run, or this is a worker.
        ValueError: other units, or an address.

    Example:
        >>> print(memory_summary(units="MB"))

    Follows Ray's command "ray memory" and `ray._private.internal_api.memory_summary`.
    """
    if address not in (None, "local", "auto"):
        raise ValueError(f"address is {address!r}, but there is one node, in this process")
    if units not in UNITS:
        raise ValueError(f"units is {units!r}, but it must be one of {', '.join(UNITS)}")
    limit = MOST_OBJECTS if num_entries is None else num_entries
    return text(report(limit), units, stats_only)

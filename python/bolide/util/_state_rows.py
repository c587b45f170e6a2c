"""The rows of the state API: what the node tells of each thing, as a mapping.

Thread safety: functions without state.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping

from .. import _hot, _job
from .._ids import ActorID, NodeID, WorkerID
from .._runtime import need_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_TASKS, _ACTORS, _WORKERS = 11, 12, 13  # ipc::QueryKind
_TASK_STATES = (
    "PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "SUBMITTED_TO_WORKER", "RUNNING"
)  # fmt: skip
_CALL, _CREATION = 8, 16  # ipc::TaskFlags
_ACTOR_STATES = ("PENDING_CREATION", "PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD")
LARGEST = 10_000  # rows that the node tells of one kind


class State(Mapping):
    """One row: a mapping whose keys are attributes too."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"State({', '.join(f'{name}={value!r}' for name, value in self.items())})"


class _Reader:
    """Reads what the node has packed (cpp/node/node_state.cpp)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, form: str) -> tuple:
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values

    def text(self) -> str:
        (length,) = self.take("<I")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "replace")


def _own() -> tuple[int, str]:
    session = need_session().id
    return session, NodeID.of(session).hex()


def _worker_id(session: int, pid: int) -> str | None:
    return WorkerID.of(session, pid).hex() if pid else None


def tasks() -> Iterator[State]:
    """Tasks that have not ended."""
    session, node = _own()
    reader = _Reader(_hot.told(_TASKS))
    while reader.more():
        task, parent, actor, pid, attempt, flags, state = reader.take("<QQQiIII")
        name = reader.text()
        kind = "ACTOR_TASK" if flags & _CALL else "NORMAL_TASK"
        if flags & _CREATION:
            kind = "ACTOR_CREATION_TASK"
        yield State(
            task_id=_hot.task_id_bytes(task).hex(),
            attempt_number=attempt,
            name=name,
            state=_TASK_STATES[state],
            job_id=_hot.JOB.hex(),
            actor_id=ActorID.of(session, actor).hex() if actor else None,
            type=kind,
            func_or_class_name=name,
            parent_task_id=_hot.task_id_bytes(parent).hex() if parent else None,
            node_id=node if pid else None,
            worker_id=_worker_id(session, pid),
            worker_pid=pid or None,
        )


def actors() -> Iterator[State]:
    """Actors that have handles or a process."""
    session, node = _own()
    reader = _Reader(_hot.told(_ACTORS))
    while reader.more():
        number, pid, restarts, state, detached = reader.take("<QiIII")
        class_name, key, death = reader.text(), reader.text(), reader.text()
        namespace, _, name = key.partition("\0")
        yield State(
            actor_id=ActorID.of(session, number).hex(),
            class_name=class_name,
            state=_ACTOR_STATES[state],
            job_id=_hot.JOB.hex(),
            name=name,
            node_id=node if pid else None,
            pid=pid or None,
            ray_namespace=namespace,
            is_detached=bool(detached),
            num_restarts=restarts,
            death_cause=death or None,
        )


def _pids() -> list[int]:
    """Of the driver and its workers."""
    reader = _Reader(_hot.told(_WORKERS))
    pids = []
    while reader.more():
        pids.append(reader.take("<iI")[0])
    return pids


def workers() -> Iterator[State]:
    """The driver and its workers."""
    session, node = _own()
    for index, pid in enumerate(_pids()):
        yield State(
            worker_id=_worker_id(session, pid),
            is_alive=True,
            worker_type="WORKER" if index else "DRIVER",
            node_id=node,
            ip=_job.NODE_ADDRESS,
            pid=pid,
        )


def objects(limit: int = 10_000) -> Iterator[State]:
    """The holders of objects, the largest first."""
    from .._memory_report import report
    from .._memory_report import rows as holders

    for row in holders(report(limit)):
        yield State(**row)


def nodes() -> Iterator[State]:
    """The node."""
    from .. import _node_state

    for node in _node_state.nodes():
        yield State(
            node_id=node["NodeID"],
            node_ip=node["NodeManagerAddress"],
            is_head_node=True,
            state="ALIVE",
            state_message=None,
            node_name=node["NodeName"],
            resources_total=node["Resources"],
            labels=node["Labels"],
        )


def jobs() -> Iterator[State]:
    """The job."""
    need_session()
    yield State(
        job_id=_hot.JOB.hex(),
        submission_id=None,
        status="RUNNING",
        type="DRIVER",
        entrypoint=" ".join(sys.argv),
        driver_pid=_pids()[0],
        namespace=_job.current.namespace,
    )


def placement_groups() -> Iterator[State]:
    """Placement groups."""
    from .._placement import placement_group_table

    for identity, row in placement_group_table().items():
        yield State(
            placement_group_id=identity,
            name=row["name"],
            creator_job_id=_hot.JOB.hex(),
            state=row["state"],
            bundles=row["bundles"],
            stats=row["stats"],
        )


def runtime_envs() -> Iterator[State]:
    """The runtime environment of the job."""
    need_session()
    yield State(runtime_env=dict(_job.current.runtime_env), success=True)

"""`get_runtime_context`: what the code that runs can ask about itself: job, node, task, actor.

Follows Ray's page "Runtime Context". Thread safety: reads only.
"""

from __future__ import annotations

import os

from . import _hot, _job
from ._actor_worker import actor_id_of, current_actor
from ._runtime import need_session as _session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._actor_worker import Actor


class RuntimeContext:
    """What there is to know about the driver, task or actor that asks."""

    def get_job_id(self) -> str:
        """The id of the job: 8 hexadecimal digits, the same for all of a session."""
        return _hot.JOB.hex()

    def get_node_id(self) -> str:
        """The id of the node: 56 hexadecimal digits, as `nodes()` tells it."""
        from ._ids import NodeID

        return NodeID.of(_session().id).hex()

    def get_worker_id(self) -> str:
        """The id of this process, driver or worker: 56 hexadecimal digits."""
        from ._ids import WorkerID

        return WorkerID.of(_session().id, os.getpid()).hex()

    def get_task_id(self) -> str | None:
        """The id of the task or call that runs: 48 hexadecimal digits; None in the driver."""
        number = _hot.running_task()[0]
        return _hot.task_id_bytes(number).hex() if number else None

    def get_task_name(self) -> str | None:
        """Its option `name`, else what its function is called; None in the driver."""
        _, name, function = _hot.running_task()
        return name or function

    def get_task_function_name(self) -> str | None:
        """What the function or method that runs is called; None in the driver."""
        return _hot.running_task()[2]

    def get_assigned_resources(self) -> dict[str, float]:
        """What the task or actor holds: names of resources to quantities. {} in the driver."""
        _session()
        return dict(_hot.assigned_resources())

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """The accelerators that the task or actor holds, by kind: {"GPU": ["0"]}."""
        from ._accelerators import shown

        return {"GPU": shown()}

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Ray's earlier name of `get_accelerator_ids`."""
        return self.get_accelerator_ids()

    def get_node_labels(self) -> dict[str, str]:
        """The labels of the node: those given to init, and the runtime's own under ray.io/."""
        return _job.current.node_labels()

    def get_placement_group_id(self) -> str | None:
        """The id of the placement group in which this runs; None outside of groups."""
        from ._placement import get_current_placement_group

        group = get_current_placement_group()
        return None if group is None else group.id.hex()

    def get_session_name(self) -> str:
        """A name for the session of the driver."""
        return f"session_{_session().id:016x}"

    def get_temp_dir(self) -> str:
        """Where temporary files go."""
        import tempfile

        return tempfile.gettempdir()

    @property
    def gcs_address(self) -> str:
        """Empty: nothing listens, the node is in the driver's process."""
        return ""

    @property
    def runtime_env(self) -> dict:
        """The runtime environment of this process, with absolute paths."""
        return dict(_job.current.runtime_env)

    def get_runtime_env_string(self) -> str:
        """The same as JSON."""
        import json

        return json.dumps(self.runtime_env)

    def get(self) -> dict[str, object]:
        """Job, node, task and actor in one dict, without what there is not here."""
        found = {
            "job_id": self.get_job_id(),
            "node_id": self.get_node_id(),
            "namespace": self.namespace,
            "task_id": self.get_task_id(),
            "actor_id": self.get_actor_id(),
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def namespace(self) -> str:
        """Where the names of actors count that are made or looked up here."""
        return _job.current.namespace

    def get_actor_id(self) -> str | None:
        """The id of this actor as 32 hexadecimal digits; None outside of actors."""
        actor = current_actor()
        if actor is None:
            return None
        return actor_id_of(actor).hex()

    def get_actor_name(self) -> str | None:
        """The name of this actor, "" if it has none; None outside of actors."""
        actor = current_actor()
        return None if actor is None else actor.name

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether this actor was started again after its process had died."""
        return _need_actor().restarts > 0

    @property
    def current_actor(self) -> _hot.ActorHandle:
        """A handle of this actor to itself, which does not keep it alive.

        Raises:
            RuntimeError: this is not an actor.
        """
        actor = _need_actor()
        return _hot._rebuild_weak_handle(actor.id, _hot.current_session().id, actor.info_data)

    def is_canceled(self) -> bool:
        """Whether the task or call that runs was cancelled; see `bolide.cancel`.

        Raises:
            RuntimeError: this is the driver, or an async actor, whose coroutines are cancelled.
        """
        session = _hot.current_session()
        engine = None if session is None else session.engine
        in_task = session is not None and session.is_worker
        if engine is not None:
            in_task = self.get_task_id() is not None
        if not in_task:
            raise RuntimeError("is_canceled() can only be asked in a task or in an actor's method")
        actor = current_actor()
        if actor is not None and actor.is_async:
            raise RuntimeError(
                "is_canceled() is not supported in async actors: their coroutines are cancelled as "
                "asyncio does it; catch asyncio.CancelledError"
            )
        return _hot.is_interrupted() if engine is None else engine.is_cancelled()


def get_runtime_context() -> RuntimeContext:
    """What the code that runs can ask about itself.

    Example:
        >>> get_runtime_context().get_actor_id()  # in a method of an actor
        '0123456789abcdef0000020000000007'

    Follows Ray's page "ray.runtime_context.get_runtime_context".
    """
    return RuntimeContext()


def _need_actor() -> Actor:
    actor = current_actor()
    if actor is None:
        raise RuntimeError(
            "this is not an actor; the value is known only in the constructor and methods of one"
        )
    return actor

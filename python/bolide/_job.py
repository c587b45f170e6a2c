"""What init was told about the job and its node, as far as tasks may ask for it.

The driver's init fills it in, and the settings carry it to each worker. Thread safety: a field is
replaced as a whole, before there are tasks.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NODE_ADDRESS = "127.0.0.1"  # one machine, and nothing listens


class Job:
    """Fields: `namespace`, where names of actors count; `gpus`, what the node's are called;
    `labels` of the node that the user gave; `accelerator`, the kind of its GPUs, or None;
    `runtime_env`, checked (`bolide._runtime_env`), in a worker that of its tasks; `environment`,
    its key: 0 for the job's."""

    __slots__ = ("accelerator", "environment", "gpus", "labels", "namespace", "runtime_env")

    def __init__(self) -> None:
        self.namespace = ""
        self.gpus: list[str] = []
        self.labels: dict[str, str] = {}
        self.accelerator: str | None = None
        self.runtime_env: dict[str, Any] = {}
        self.environment = 0

    def fields(self) -> dict[str, Any]:
        """Plain values, for the settings."""
        return {name: getattr(self, name) for name in self.__slots__}

    def enter(self, fields: dict[str, Any]) -> None:
        """In a worker: the job of its driver."""
        for name, value in fields.items():
            setattr(self, name, value)

    def node_labels(self) -> dict[str, str]:
        """All labels of the node: the user's and the runtime's own."""
        from ._ids import NodeID
        from ._runtime import need_session

        labels = {**self.labels, "ray.io/node-id": NodeID.of(need_session().id).hex()}
        if self.accelerator is not None:
            labels["ray.io/accelerator-type"] = self.accelerator
        return labels


current = Job()


def get_node_ip_address(address: str | None = None) -> str:
    """The address of the one node, as `nodes()` tells it; `address` makes no difference here.

    Follows Ray's page "ray.util.get_node_ip_address".
    """
    return NODE_ADDRESS


def anonymous_namespace() -> str:
    """A namespace that nobody else has."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

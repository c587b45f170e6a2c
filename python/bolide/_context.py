"""What init() returns: Ray's RayContext. A mapping of addresses and a context manager.

Thread safety: constant after it was made.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class RayContext(Mapping):
    """The running runtime, as `init` returns it.

    A mapping with Ray's keys (those that have no meaning here are None), and a context manager
    whose end is `shutdown()`. Follows Ray's page "ray.init".
    """

    def __init__(self, session: int, namespace: str) -> None:
        from . import __version__

        self.dashboard_url = ""
        self.python_version = ".".join(map(str, sys.version_info[:3]))
        self.ray_version = __version__
        self.ray_commit = ""
        self.namespace = namespace
        self.address_info: dict[str, Any] = {
            "node_ip_address": "127.0.0.1",
            "raylet_ip_address": "127.0.0.1",
            "redis_address": None,
            "object_store_address": None,
            "raylet_socket_name": None,
            "webui_url": "",
            "session_dir": None,
            "metrics_export_port": None,
            "gcs_address": None,
            "address": "local",
            "dashboard_agent_listen_port": None,
            "node_id": f"{session:056x}",
        }

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __len__(self) -> int:
        return len(self.address_info)

    def __enter__(self) -> RayContext:
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Shuts the runtime down."""
        from ._runtime import shutdown

        shutdown()

    def __repr__(self) -> str:
        return (
            f"RayContext(python_version={self.python_version!r}, ray_version={self.ray_version!r},"
            f" node_id={self.address_info['node_id'][-16:]!r})"
        )

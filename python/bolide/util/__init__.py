"""Helpers on the public API: pools, queues, results as they complete, names, places, serialization.

This module only names what is public, with Ray's names; what few programs use is imported when it
is first asked for.
"""

from .._actor import list_named_actors
from .._job import get_node_ip_address
from ._completed import as_completed, map_unordered
from .placement_group import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import iter
    from .actor_group import ActorGroup
    from .actor_pool import ActorPool
    from .check_serialize import inspect_serializability
    from .debug import disable_log_once_globally, enable_periodic_logging, log_once
    from .serialization import deregister_serializer, register_serializer

__all__ = [
    "ActorGroup",
    "ActorPool",
    "as_completed",
    "deregister_serializer",
    "disable_log_once_globally",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "inspect_serializability",
    "iter",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "placement_group",
    "placement_group_table",
    "register_serializer",
    "remove_placement_group",
]

_LATER = {
    "actor_group": ("ActorGroup",),
    "actor_pool": ("ActorPool",),
    "check_serialize": ("inspect_serializability",),
    "debug": ("disable_log_once_globally", "enable_periodic_logging", "log_once"),
    "serialization": ("deregister_serializer", "register_serializer"),
}
_SUBMODULES = ("iter",)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""bolide: Ray's model, remote functions and objects, at the cost of a few function calls.

``import bolide as ray`` runs programs written for Ray Core on one machine. This module only
names what is public; the work is in the private modules beside it and in the C++ core.
"""

from ._hot import ObjectRef, ObjectRefGenerator, get, put, wait
from ._remote import remote
from ._runtime import init, is_initialized, shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import actor, dag, exceptions, experimental, runtime_context, util
    from ._accelerators import get_gpu_ids
    from ._actor import get_actor, kill, method
    from ._arrays import array, empty, zeros
    from ._cancel import cancel
    from ._generators import DynamicObjectRefGenerator
    from ._ids import (
        ActorClassID,
        ActorID,
        FunctionID,
        JobID,
        NodeID,
        PlacementGroupID,
        TaskID,
        UniqueID,
        WorkerID,
    )
    from ._node_state import available_resources, cluster_resources, nodes, timeline
    from ._other_languages import (
        ClientBuilder,
        Language,
        LoggingConfig,
        client,
        cpp_function,
        java_actor_class,
        java_function,
    )
    from .executor import Executor
    from .runtime_context import get_runtime_context

ObjectID = ObjectRef
SCRIPT_MODE, WORKER_MODE = 0, 1  # what Ray calls drivers and workers

__version__ = "0.1.0"

__all__ = [
    "SCRIPT_MODE",
    "WORKER_MODE",
    "ActorClassID",
    "ActorID",
    "ClientBuilder",
    "DynamicObjectRefGenerator",
    "Executor",
    "FunctionID",
    "JobID",
    "Language",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "actor",
    "array",
    "available_resources",
    "cancel",
    "client",
    "cluster_resources",
    "cpp_function",
    "dag",
    "empty",
    "exceptions",
    "experimental",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
    "java_actor_class",
    "java_function",
    "kill",
    "method",
    "nodes",
    "put",
    "remote",
    "runtime_context",
    "shutdown",
    "timeline",
    "util",
    "wait",
    "zeros",
]

# Where the names are that are imported when they are first asked for: what a program does not use
# costs it and its template process no time.
_LATER = {
    "_accelerators": ("get_gpu_ids",),
    "_actor": ("get_actor", "kill", "method"),
    "_arrays": ("array", "empty", "zeros"),
    "_cancel": ("cancel",),
    "_generators": ("DynamicObjectRefGenerator",),
    "_ids": (
        "ActorClassID", "ActorID", "FunctionID", "JobID", "NodeID", "PlacementGroupID", "TaskID",
        "UniqueID", "WorkerID",
    ),
    "_node_state": ("available_resources", "cluster_resources", "nodes", "timeline"),
    "_other_languages": (
        "ClientBuilder", "Language", "LoggingConfig", "client", "cpp_function", "java_actor_class",
        "java_function",
    ),
    "executor": ("Executor",),
    "runtime_context": ("get_runtime_context",),
}  # fmt: skip
_SUBMODULES = ("actor", "dag", "exceptions", "experimental", "runtime_context", "util")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    for module, names in _LATER.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

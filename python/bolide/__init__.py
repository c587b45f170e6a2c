"""bolide: Ray's model, remote functions and objects, at the cost of a few function calls.

``import bolide as ray`` runs programs written for Ray Core on one machine. This module only
names what is public; the work is in the private modules beside it and in the C++ core.
"""

from . import actor, exceptions, runtime_context, util
from ._accelerators import get_gpu_ids
from ._actor import get_actor, kill, method
from ._arrays import array, empty, zeros
from ._cancel import cancel
from ._generators import DynamicObjectRefGenerator
from ._hot import ObjectRef, ObjectRefGenerator, get, put, wait
from ._node_state import available_resources, cluster_resources, nodes, timeline
from ._remote import remote
from ._runtime import init, is_initialized, shutdown
from .runtime_context import get_runtime_context

__version__ = "0.1.0"

__all__ = [
    "DynamicObjectRefGenerator",
    "ObjectRef",
    "ObjectRefGenerator",
    "actor",
    "array",
    "available_resources",
    "cancel",
    "cluster_resources",
    "empty",
    "exceptions",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
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

"""The package `ray` as a program under `bolide run` sees it: bolide's names, and Ray's version.

Never imported as `bolide._ray`; see `bolide._drop_in`.
"""

import importlib as _importlib

from bolide import *  # noqa: F403  (all that is public there is public here)
from bolide import ObjectRef, _drop_in
from bolide._ids import ActorID, JobID, NodeID, TaskID, WorkerID  # noqa: F401  (names of Ray)

__version__ = "2.60.0"  # whose documentation bolide follows; libraries ask for a least one
__commit__ = ""

ObjectID = ObjectRef
SCRIPT_MODE, WORKER_MODE, LOCAL_MODE = 0, 1, 2


def __getattr__(name: str) -> object:
    """Submodules that were not imported yet, as in ``ray.util`` after ``import ray``."""
    if name.startswith("__") or _drop_in.find(f"ray.{name}") is None:
        raise AttributeError(_drop_in.refusal(f"ray.{name}"))
    return _importlib.import_module(f"ray.{name}")

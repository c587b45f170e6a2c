"""`ray` as a name of bolide's, in processes that asked for it: `bolide run` and its workers.

One finder at the head of sys.meta_path answers for `ray` and everything below it, so an installed
Ray is never looked at. ``ray.X`` is the module ``bolide.X`` itself, where bolide has a public one;
what is only Ray's (its version, private names that libraries import) is in the folder `_ray`, the
package `ray` as a program sees it. Other names are refused with a sentence.

Thread safety: the import system's own locks. Invariants: importing this module changes nothing;
nothing is changed in a process that did not call `install`.
"""

from __future__ import annotations

import importlib
import os.path
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_FOLDER = os.path.join(os.path.dirname(__file__), "_ray")
_NOT_OF_RAY = (
    "cli",
    "engines",
    "executor",
    "integrations",
    "testing",
)  # public modules of bolide that are no part of Ray's


def install() -> None:
    """From now on `import ray` gives bolide in this process. May be called again.

    Raises:
        RuntimeError: another `ray` was imported before.
    """
    if is_installed():
        return
    loaded = sys.modules.get("ray")
    if loaded is not None:
        raise RuntimeError(
            f"ray is imported already, from {getattr(loaded, '__file__', None)}; it cannot become "
            "bolide now. Start the program with `bolide run`, and take `import ray` out of what "
            "Python imports before it"
        )
    sys.meta_path.insert(0, _Finder())


def is_installed() -> bool:
    """Whether `ray` is bolide in this process."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def find(name: str) -> ModuleSpec | None:
    """The spec of ``ray`` or of a module below it; None if neither bolide nor `_ray` has it."""
    parts = name.split(".")[1:]
    path = os.path.join(_FOLDER, *parts)
    if os.path.isdir(path):
        file = os.path.join(path, "__init__.py")
        return spec_from_file_location(name, file, submodule_search_locations=[path])
    if os.path.isfile(path + ".py"):
        return spec_from_file_location(name, path + ".py")
    if parts[0] in _NOT_OF_RAY or any(part.startswith("_") for part in parts):
        return None
    target = ".".join(["bolide", *parts])
    try:
        there = find_spec(target) is not None
    except ModuleNotFoundError:  # its parent is a module, or not there
        there = False
    return ModuleSpec(name, _Same(target)) if there else None


def refusal(name: str) -> str:
    """The sentence about a name of Ray's that bolide does not have."""
    from . import __version__

    return (
        f"{name} is not in bolide {__version__}, which stands for ray in this process (bolide "
        "run); leave it out, or run the program with Ray itself"
    )


class _Finder:
    """Answers for `ray` and what is below it, and for nothing else."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "ray" and not name.startswith("ray."):
            return None
        spec = find(name)
        if spec is None:
            # Without the attribute `name`, or ``from ray import x`` would say only that it failed.
            raise ModuleNotFoundError(refusal(name))
        return spec


class _Same:
    """A loader that gives a module which has another name."""

    def __init__(self, target: str) -> None:
        self._target = target

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual empty one: what is returned here would have its `__spec__` replaced."""

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._target)
        # What is loaded below it is too: importing that again would set it as an attribute here,
        # where a function may have its name (util.placement_group).
        inner = f"{self._target}."
        for name in [name for name in sys.modules if name.startswith(inner)]:
            alias = f"{module.__name__}.{name.removeprefix(inner)}"
            if not any(part.startswith("_") for part in alias.split(".")):
                sys.modules.setdefault(alias, sys.modules[name])

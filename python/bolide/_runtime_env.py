"""`init(runtime_env=...)`: the variables, directory and modules of the workers of a job.

All of it is plain values, so workers get it with their other settings (`bolide._settings`) when
they are forked, and nothing is copied or installed. Thread safety: functions without state.
Follows Ray's page "Environment dependencies".
"""

from __future__ import annotations

import os
import re
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DONE = ("env_vars", "working_dir", "py_modules")
_OF_RAY = (
    "pip", "uv", "conda", "container", "image_uri", "excludes", "java_jars", "mpi", "nsight",
    "worker_process_setup_hook", "rocprof_sys",
)  # fmt: skip
_WITHOUT_EFFECT = ("config", "_inject_current_ray", "_ray_commit", "_ray_release")


class RuntimeEnv(dict):
    """A runtime environment: a dict with the keys that `init` takes, given as keywords.

    Example:
        >>> init(runtime_env=RuntimeEnv(env_vars={"OMP_NUM_THREADS": "1"}))

    Follows Ray's page "ray.runtime_env.RuntimeEnv".
    """

    def __init__(self, **fields: Any) -> None:
        super().__init__({name: value for name, value in fields.items() if value is not None})
        check(self)


def check(given: Any) -> dict[str, Any]:
    """A runtime environment with absolute paths, of plain values.

    Args:
        given: None, or a dict with the keys env_vars (str to str), working_dir (a directory) and
            py_modules (a list of directories of packages, files of modules, or modules).

    Raises:
        TypeError, ValueError: another type, key or value, or a path that is not there.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise TypeError(f"runtime_env must be a dict, not {given!r}")
    for name in given:
        if name not in _DONE + _WITHOUT_EFFECT:
            raise _refusal(name)
    env: dict[str, Any] = {}
    if given.get("env_vars"):
        env["env_vars"] = _variables(given["env_vars"])
    if given.get("working_dir"):
        env["working_dir"] = _directory(given["working_dir"])
    if given.get("py_modules"):
        modules = given["py_modules"]
        if not isinstance(modules, (list, tuple)):
            raise TypeError(f"runtime_env['py_modules'] must be a list, not {modules!r}")
        env["py_modules"] = [_module(module) for module in modules]
    return env


def environ(env: dict[str, Any]) -> dict[str, str]:
    """The environment of a worker: this process's and `env_vars`, in which ${NAME} stands for the
    value that this process has."""
    made = dict(os.environ)
    for name, value in env.get("env_vars", {}).items():
        made[name] = re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], ""), value)
    return made


def search_path(env: dict[str, Any]) -> list[str]:
    """What comes first in a worker's sys.path.

    PYTHONPATH is among it: Python reads that when it starts, and a worker is forked later.
    """
    found = [env["working_dir"]] if "working_dir" in env else []
    found += [os.path.dirname(path) for path in env.get("py_modules", ())]
    if "PYTHONPATH" in env.get("env_vars", {}):
        found += filter(None, environ(env)["PYTHONPATH"].split(os.pathsep))
    return found


def _variables(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise TypeError(f"runtime_env['env_vars'] must be a dict of strings, not {given!r}")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(
                f"runtime_env['env_vars'] has {name!r}: {value!r}, but takes strings only"
            )
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"runtime_env['env_vars'] has {name!r}, which cannot be set")
    return dict(given)


def _directory(given: Any) -> str:
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"runtime_env['working_dir'] must be a path, not {given!r}")
    path = os.path.abspath(os.fspath(given))
    if not os.path.isdir(path):
        raise ValueError(
            f"runtime_env['working_dir'] is {os.fspath(given)!r}, which is no directory here; "
            "archives and addresses are not carried out by this version: unpack it, and name the "
            "directory"
        )
    return path


def _module(given: Any) -> str:
    if isinstance(given, ModuleType):
        paths = list(getattr(given, "__path__", ()))
        given = paths[0] if paths else given.__file__
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"runtime_env['py_modules'] has {given!r}, but takes paths and modules")
    path = os.path.abspath(os.fspath(given))
    if not (os.path.isdir(path) or path.endswith(".py") and os.path.isfile(path)):
        raise ValueError(
            f"runtime_env['py_modules'] has {os.fspath(given)!r}, which is neither the directory "
            "of a package nor the file of a module; archives and wheels are not carried out by "
            "this version"
        )
    return path


def _refusal(name: Any) -> ValueError:
    known = ", ".join(_DONE)
    if name in _OF_RAY:
        return ValueError(
            f"runtime_env has {name!r}, which this version does not carry out; install what the "
            f"program needs where it runs, and leave it out. It carries out {known}"
        )
    return ValueError(f"runtime_env has {name!r}, which is no key of one; it takes {known}")

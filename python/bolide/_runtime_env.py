"""Runtime environments as they are written down: what init, `@remote` and `.options` take.

A checked environment is a dict of plain values with absolute paths, so it can be sent, compared and
named. It is not the making of one (`bolide._environments`), and what a worker gets of it is in
`bolide._settings`. Thread safety: functions without state. Follows Ray's page "Environment
dependencies".
"""

from __future__ import annotations

import os

from . import _runtime_env_keys as _keys
from ._runtime_env_keys import BadEnvironmentError, BadEnvironmentTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OF_RAY = (
    "conda", "container", "image_uri", "java_jars", "mpi", "nsight", "py_executable",
    "rocprof_sys",
)  # fmt: skip
_WITHOUT_EFFECT = ("_inject_current_ray", "_ray_commit", "_ray_release")
DEFAULT_TIMEOUT = 600  # seconds, as in Ray


def check(given: Any) -> dict[str, Any]:
    """A runtime environment with absolute paths, of plain values.

    Args:
        given: None, or a dict with keys of Ray's: see docs/drop_in.md.

    Raises:
        BadEnvironmentTypeError: (a RuntimeEnvSetupError and a TypeError) a value of another type.
        BadEnvironmentError: (a RuntimeEnvSetupError and a ValueError) an unknown key, a value out
            of range, a path that is not there.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadEnvironmentTypeError(f"runtime_env must be a dict, not {given!r}")
    for name in given:
        if name not in _CHECKS and name not in _WITHOUT_EFFECT:
            raise _refusal(name)
    if given.get("pip") and given.get("uv"):
        raise BadEnvironmentError(
            "runtime_env has both 'pip' and 'uv'; give all packages to one of them"
        )
    checked = {name: check(given[name]) for name, check in _CHECKS.items() if given.get(name)}
    return {name: value for name, value in checked.items() if value is not None}


def merge(parent: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What a task or actor that asks for `own` gets where the environment is `parent`: variables
    are added to the parent's, every other key replaces the parent's."""
    merged = {**parent, **own}
    if "env_vars" in parent and "env_vars" in own:
        merged["env_vars"] = {**parent["env_vars"], **own["env_vars"]}
    for installer, other in (("pip", "uv"), ("uv", "pip")):
        if installer in own:
            merged.pop(other, None)  # there can be but one
    return merged


def name_of(env: dict[str, Any]) -> tuple[int, bytes]:
    """The key of a checked environment, the same in every process of a session, and its
    description, from which `described` makes it again."""
    import hashlib
    import json

    named = {name: value for name, value in env.items() if name not in ("config", "excludes")}
    text = json.dumps([named, [_version(path) for path in archives(env)]], sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1, json.dumps(env).encode()


def described(description: bytes) -> dict[str, Any]:
    """The environment with that description."""
    import json

    return json.loads(description)


def of_task(own: dict[str, Any] | None) -> tuple[int, bytes]:
    """The key and description of the environment of a task that is called here and asks for `own`;
    without that it is the one in which this process is."""
    from ._job import current

    merged = merge(current.runtime_env, own) if own else current.runtime_env
    if merged == current.runtime_env:
        return current.environment, b""  # the node knows it
    return name_of(merged)


def archives(env: dict[str, Any]) -> list[str]:
    """The paths in it that have to be unpacked."""
    paths = [env["working_dir"]] if "working_dir" in env else []
    return [path for path in paths + env.get("py_modules", []) if is_archive(path)]


def is_light(env: dict[str, Any]) -> bool:
    """Whether it is there at once: nothing has to be unpacked or installed."""
    return not has_packages(env) and not archives(env)


def has_packages(env: dict[str, Any]) -> bool:
    """Whether packages have to be installed for it."""
    return "pip" in env or "uv" in env


def timeout_of(env: dict[str, Any]) -> float | None:
    """How many seconds making it may take; None: any number."""
    seconds = env.get("config", {}).get("setup_timeout_seconds", DEFAULT_TIMEOUT)
    return None if seconds == -1 else seconds


def is_archive(path: str) -> bool:
    """Whether the path of an environment has to be unpacked."""
    return path.endswith((".zip", ".whl"))


def _version(path: str) -> tuple[int, int] | None:
    """Differs once the file has been written anew."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def run_hook(env: dict[str, Any]) -> None:
    """In a fresh worker: calls the setup hook of its environment, if there is one."""
    kind, _, text = env.get("worker_process_setup_hook", "").partition(":")
    if kind == "module":
        from importlib import import_module

        module, _, name = text.rpartition(".")
        getattr(import_module(module), name)()
    elif kind == "pickle":
        import base64
        import pickle

        pickle.loads(base64.b64decode(text))()


# ---- the keys


def _config(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadEnvironmentTypeError(f"runtime_env['config'] must be a dict, not {given!r}")
    return dict(RuntimeEnvConfig(**given))


_CHECKS = {
    "env_vars": _keys.variables,
    "working_dir": _keys.working_dir,
    "py_modules": _keys.modules,
    "excludes": _keys.excludes,
    "pip": _keys.pip,
    "uv": _keys.uv,
    "worker_process_setup_hook": _keys.hook,
    "config": _config,
}


def _refusal(name: Any) -> Exception:
    known = ", ".join(_CHECKS)
    if name in _OF_RAY:
        return BadEnvironmentError(
            f"runtime_env has {name!r}, which this version does not carry out; install what the "
            f"program needs where it runs, and leave it out. It carries out {known}"
        )
    return BadEnvironmentError(
        f"runtime_env has {name!r}, which is no key of one; it takes {known}"
    )


# ---- Ray's classes


class RuntimeEnv(dict):
    """A runtime environment: a dict with the keys that `init` takes, given as keywords.

    Args:
        **fields: see docs/drop_in.md; None leaves a key out.

    Raises:
        RuntimeEnvSetupError: (a ValueError or TypeError too) a key or value is wrong.

    Example:
        >>> init(runtime_env=RuntimeEnv(env_vars={"OMP_NUM_THREADS": "1"}))

    Follows Ray's page "ray.runtime_env.RuntimeEnv".
    """

    known_fields = {*_CHECKS, *_OF_RAY, *_WITHOUT_EFFECT}

    def __init__(self, **fields: Any) -> None:
        super().__init__({name: value for name, value in fields.items() if value is not None})
        check(self)

    def __setitem__(self, name: str, value: Any) -> None:
        check({**self, name: value})
        super().__setitem__(name, value)


class RuntimeEnvConfig(dict):
    """How a runtime environment is made: the key `config` of one.

    Args:
        setup_timeout_seconds: how long unpacking and installing may take, in seconds; -1: for ever.
        eager_install: begin at init and not with the first task; of a job's environment only.
        log_files: without effect.

    Raises:
        RuntimeEnvSetupError: (a ValueError or TypeError too) a value is wrong.

    Example:
        >>> RuntimeEnv(pip=["chess"], config=RuntimeEnvConfig(setup_timeout_seconds=60))

    Follows Ray's page "ray.runtime_env.RuntimeEnvConfig".
    """

    known_fields = {"setup_timeout_seconds", "eager_install", "log_files"}

    def __init__(
        self,
        setup_timeout_seconds: int = DEFAULT_TIMEOUT,
        eager_install: bool = True,
        log_files: list[str] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise BadEnvironmentError(
                f"runtime_env['config'] has {next(iter(unknown))!r}, which is no key of it; it "
                "takes setup_timeout_seconds, eager_install and log_files"
            )
        if not isinstance(setup_timeout_seconds, int) or isinstance(setup_timeout_seconds, bool):
            raise BadEnvironmentTypeError(
                "runtime_env['config']['setup_timeout_seconds'] must be an int, not "
                f"{setup_timeout_seconds!r}"
            )
        if setup_timeout_seconds != -1 and setup_timeout_seconds <= 0:
            raise BadEnvironmentError(
                f"runtime_env['config']['setup_timeout_seconds'] is {setup_timeout_seconds}, but "
                "must be above 0, or -1 for no limit"
            )
        if not isinstance(eager_install, bool):
            raise BadEnvironmentTypeError(
                f"runtime_env['config']['eager_install'] must be a bool, not {eager_install!r}"
            )
        fields = {"setup_timeout_seconds": setup_timeout_seconds, "eager_install": eager_install}
        if log_files is not None:
            fields["log_files"] = _keys.strings("['config']['log_files']", log_files)
        super().__init__(fields)

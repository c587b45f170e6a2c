"""The keys of a runtime environment: what may be given for each, and as what it is kept.

Thread safety: functions without state. Each takes a value that is not empty, and returns it as
plain values with absolute paths, or raises.
"""

from __future__ import annotations

import os
from types import ModuleType

from .exceptions import RuntimeEnvSetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class BadEnvironmentError(RuntimeEnvSetupError, ValueError):
    """A runtime environment with a wrong value: told where it is given, before there is a task."""


class BadEnvironmentTypeError(RuntimeEnvSetupError, TypeError):
    """A runtime environment with a value of a wrong type."""


def variables(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise BadEnvironmentTypeError(
            f"runtime_env['env_vars'] must be a dict of strings, not {given!r}"
        )
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadEnvironmentTypeError(
                f"runtime_env['env_vars'] has {name!r}: {value!r}, but takes strings only"
            )
        if not name or "=" in name or "\0" in name + value:
            raise BadEnvironmentError(f"runtime_env['env_vars'] has {name!r}, which cannot be set")
    return dict(given)


def working_dir(given: Any) -> str:
    if not isinstance(given, (str, os.PathLike)):
        raise BadEnvironmentTypeError(f"runtime_env['working_dir'] must be a path, not {given!r}")
    path = _local("working_dir", os.fspath(given))
    if os.path.isdir(path) or path.endswith(".zip") and os.path.isfile(path):
        return path
    raise BadEnvironmentError(
        f"runtime_env['working_dir'] is {os.fspath(given)!r}, which is neither a directory nor a "
        ".zip file here"
    )


def modules(given: Any) -> list[str]:
    if not isinstance(given, (list, tuple)):
        raise BadEnvironmentTypeError(f"runtime_env['py_modules'] must be a list, not {given!r}")
    return [_module(module) for module in given]


def _module(given: Any) -> str:
    if isinstance(given, ModuleType):
        paths = list(getattr(given, "__path__", ()))
        given = paths[0] if paths else given.__file__
    if not isinstance(given, (str, os.PathLike)):
        raise BadEnvironmentTypeError(
            f"runtime_env['py_modules'] has {given!r}, but takes paths and modules"
        )
    path = _local("py_modules", os.fspath(given))
    if os.path.isdir(path) or path.endswith((".py", ".zip", ".whl")) and os.path.isfile(path):
        return path
    raise BadEnvironmentError(
        f"runtime_env['py_modules'] has {os.fspath(given)!r}, which is neither the directory of a "
        "package nor a .py, .zip or .whl file here"
    )


def _local(key: str, given: str) -> str:
    """The absolute path, if it is no address."""
    scheme, separator, _ = given.partition("://")
    if separator and scheme.isalnum():
        raise BadEnvironmentError(
            f"runtime_env[{key!r}] has the address {given!r}, but nothing is fetched from the "
            "network; fetch it yourself, and give its path"
        )
    return os.path.abspath(given)


def excludes(given: Any) -> list[str]:
    return strings("['excludes']", given)


def strings(where: str, given: Any) -> list[str]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, str) for item in given):
        raise BadEnvironmentTypeError(
            f"runtime_env{where} must be a list of strings, not {given!r}"
        )
    return list(given)


def _packages(
    key: str, given: Any, check: str, texts: tuple[str, ...], options: str
) -> dict[str, Any] | None:
    """What a package manager is to do: `packages` and, in the dict form, more. None: nothing."""
    if isinstance(given, str):
        given = {"packages": _requirements(key, given)}
    elif isinstance(given, (list, tuple)):
        given = {"packages": given}
    elif not isinstance(given, dict):
        raise BadEnvironmentTypeError(
            f"runtime_env[{key!r}] must be a list of packages, the path of a requirements file or "
            f"a dict with packages, not {given!r}"
        )
    known = ("packages", check, *texts, options)
    for name in given:
        if name not in known:
            raise BadEnvironmentError(
                f"runtime_env[{key!r}] has {name!r}, which is no key of it; it takes "
                f"{', '.join(known)}"
            )
    if "packages" not in given:
        raise BadEnvironmentError(f"runtime_env[{key!r}] is a dict without packages")
    packages = given["packages"]
    if isinstance(packages, str):
        packages = _requirements(key, packages)
    made: dict[str, Any] = {"packages": _lines(f"[{key!r}]['packages']", packages)}
    made[check] = given.get(check, False)
    if not isinstance(made[check], bool):
        raise BadEnvironmentTypeError(
            f"runtime_env[{key!r}][{check!r}] must be a bool, not {made[check]!r}"
        )
    for name in texts:
        if given.get(name) is None:
            continue
        if not isinstance(given[name], str):
            raise BadEnvironmentTypeError(
                f"runtime_env[{key!r}][{name!r}] must be a str such as '==1.0', not {given[name]!r}"
            )
        made[name] = given[name]
    if given.get(options) is not None:
        made[options] = _lines(f"[{key!r}][{options!r}]", given[options])
    return made if made["packages"] else None


def _lines(where: str, given: Any) -> list[str]:
    for item in strings(where, given):
        if "\n" in item or "\0" in item:
            raise BadEnvironmentError(f"runtime_env{where} has {item!r}, which is not one line")
    return list(given)


def _requirements(key: str, given: str) -> list[str]:
    try:
        with open(given, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise BadEnvironmentError(
            f"runtime_env[{key!r}] is {given!r}, which is no requirements file here ({error}); "
            "packages are given as a list"
        ) from None
    return [line for line in lines if line and not line.startswith("#")]


def pip(given: Any) -> dict[str, Any] | None:
    return _packages("pip", given, "pip_check", ("pip_version",), "pip_install_options")


def uv(given: Any) -> dict[str, Any] | None:
    return _packages("uv", given, "uv_check", ("uv_version",), "uv_pip_install_options")


def hook(given: Any) -> str:
    """How a worker finds it: "module:" and a dotted name, or "pickle:" and the function."""
    if isinstance(given, str):
        if given.startswith(("module:", "pickle:")):
            return given  # get_runtime_context() told it
        if not all(part.isidentifier() for part in given.split(".")) or "." not in given:
            raise BadEnvironmentError(
                f"runtime_env['worker_process_setup_hook'] is {given!r}, which is not of the form "
                "'module.function'"
            )
        return "module:" + given
    if not callable(given):
        raise BadEnvironmentTypeError(
            "runtime_env['worker_process_setup_hook'] must be a function, or a str such as "
            f"'module.function', not {given!r}"
        )
    import base64

    import cloudpickle

    try:
        return "pickle:" + base64.b64encode(cloudpickle.dumps(given)).decode()
    except Exception as error:
        raise BadEnvironmentTypeError(
            f"runtime_env['worker_process_setup_hook'] is {given!r}, which cannot be sent to a "
            f"worker: {error}"
        ) from None
